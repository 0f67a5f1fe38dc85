// The heartbeat of a stream: beats go out at the server's interval, and a stream on which nothing is heard is dropped.
import type { SessionSettings } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { watchdogMsDefault, welcomeTimeoutMs } from "./limits.ts";
import type { Clock, TimerHandle } from "./ports.ts";

export class Pulse {
  readonly #clock: Clock;
  readonly #beat: (beatSeq: number) => void;
  readonly #silent: (timeoutMs: number) => void;
  #beatSeq = 0;
  #lastFrameAtMs = 0;
  #beatTimer: TimerHandle | undefined;
  #watchdog: TimerHandle | undefined;

  constructor(clock: Clock, events: { beat(beatSeq: number): void; silent(timeoutMs: number): void }) {
    this.#clock = clock;
    this.#beat = events.beat;
    this.#silent = events.silent;
  }

  /** Hello is out: Welcome must come in time. */
  opened(): void {
    this.heard();
    this.#watch(welcomeTimeoutMs);
  }

  /** Beats at once, which confirms what was kept, and from then on at the interval. */
  welcomed(settings: SessionSettings | undefined): void {
    this.#watch(watchdogMs(settings));
    const intervalMs = Number(settings?.beatIntervalMs ?? 0) || watchdogMsDefault / 2.5;
    const beat = (): void => {
      this.#beatSeq += 1;
      this.#beatTimer = this.#clock.setTimer(intervalMs, beat);
      this.#beat(this.#beatSeq);
    };
    beat();
  }

  heard(): void {
    this.#lastFrameAtMs = this.#clock.nowMs();
  }

  stop(): void {
    this.#beatTimer?.cancel();
    this.#watchdog?.cancel();
  }

  #watch(timeoutMs: number): void {
    this.#watchdog?.cancel();
    const leftMs = this.#lastFrameAtMs + timeoutMs - this.#clock.nowMs();
    this.#watchdog = this.#clock.setTimer(Math.max(1, leftMs), () => {
      if (this.#clock.nowMs() - this.#lastFrameAtMs < timeoutMs) this.#watch(timeoutMs);
      else this.#silent(timeoutMs);
    });
  }
}

/** Without any frame for this long the stream is dropped; a lease is trusted for as long. */
export function watchdogMs(settings: SessionSettings | undefined): number {
  return Number(settings?.watchdogMs ?? 0) || watchdogMsDefault;
}
