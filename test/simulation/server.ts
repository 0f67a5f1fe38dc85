import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Engine } from "../../src/engine/api.ts";
import { createEngineOn } from "../../src/engine/engine.ts";
import type { Log } from "../../src/engine/telemetry.ts";
import { sessionResponses } from "../../src/server/convert/server-frame.ts";
import { createFrameReader } from "../../src/server/worker-frames.ts";
import type { Store } from "../../src/store/store.ts";
import { type ServerFrame, ServerFrameSchema, WorkerFrameSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import { Conversation } from "./conversation.ts";
import type { Connection, End } from "./network.ts";
import { Process, type Timeline } from "./timeline.ts";

// One life of the server: the real engine on what the disk holds. The pump of a stream is that of the wire.

const takeBytesMax = 256 * 1024;

/** Windows into the file, as small as one, and other bounds that make rare things frequent. */
export interface Windows {
  readonly runCacheMax: number;
  readonly lineWindowMax: number;
  readonly deadlineHorizonMax: number;
  /** Events that are worth a commit behind another. */
  readonly queuedEventsMin: number;
}

export class Server {
  readonly process: Process;
  readonly engine: Engine;
  readonly store: Store;
  readonly #timeline: Timeline;
  readonly #checker: Checker;

  constructor(options: {
    timeline: Timeline;
    name: string;
    chance: Chance;
    openStore: (process: Process) => Store;
    /** How far the wall clock is ahead now: it may jump. */
    wallAheadMs: () => number;
    leaseTtlMs: number;
    windows: Windows;
    checker: Checker;
    onFatal: () => void;
  }) {
    const { timeline, chance } = options;
    this.process = new Process(timeline, options.name);
    this.#timeline = timeline;
    this.#checker = options.checker;
    const { process } = this;
    const store = options.openStore(process);
    const spend = (amount: number): void => {
      if (!timeline.spend(amount)) throw this.#checker.violation("I12 the server goes round in circles");
    };
    this.store = {
      ...store,
      scanLine(scan) {
        spend(100);
        return store.scanLine(scan);
      },
    };
    this.engine = createEngineOn({
      store: this.store,
      clock: {
        elapsedMs() {
          spend(1);
          return timeline.nowMs;
        },
        wallMs() {
          spend(1);
          return Date.UTC(2026, 0, 1) + timeline.nowMs + options.wallAheadMs();
        },
        setTimer: (atMs, run) => process.at(atMs, run),
        defer: (run) => void process.in(0, run),
      },
      random: { hex: (bytes) => chance.hex(bytes), float: () => chance.float() },
      log: logFor(this.#checker),
      leaseTtlMs: options.leaseTtlMs,
      ...options.windows,
      onFatal: options.onFatal,
    });
  }

  /** The server's end of a new stream. */
  accept(connection: () => Connection): End {
    const { process } = this;
    const conversation = new Conversation(this.#checker, this.#timeline);
    let ended = false;
    let finished = false;
    let sawWake = false;
    const pump = (): void => {
      sawWake = false;
      // What the network does not take waits with the engine.
      const stalledUntilMs = connection().stalledUntilMs(1);
      if (stalledUntilMs > this.#timeline.nowMs) {
        if (connection().up) connection().waits(1);
        sawWake = true;
        return void process.at(stalledUntilMs, pump);
      }
      for (;;) {
        const frames = handle.take(takeBytesMax);
        if (frames.length === 0) break;
        for (const response of sessionResponses(frames)) {
          if (response.frame === undefined) continue;
          conversation.told(response.frame as ServerFrame);
          const bytes = toBinary(ServerFrameSchema, response.frame);
          this.#timeline.note(bytes);
          connection().send(1, bytes);
        }
      }
      if (ended && !finished) {
        finished = true;
        connection().finish(1);
      }
    };
    const soon = (): void => {
      if (sawWake) return;
      sawWake = true;
      process.in(0, pump);
    };
    const end = (): void => {
      ended = true;
      conversation.ended();
      soon();
    };
    const handle = this.engine.openSession({ wake: soon, end });
    const reader = createFrameReader(handle, {
      payloadBytesMax: this.engine.settings.payloadBytesMax,
      onBadHello: () => {
        handle.closed();
        end();
      },
    });
    return {
      process,
      message: (bytes) => {
        if (ended) return;
        const frame = fromBinary(WorkerFrameSchema, bytes);
        conversation.asked(frame);
        reader.read(frame);
      },
      finished: () => {
        if (!reader.saidGoodbye && !ended) handle.halfClosed();
      },
      broken: () => {
        handle.closed();
        conversation.ended();
        ended = finished = true;
      },
    };
  }
}

/** What the engine calls an error of its own must not happen here: nothing in these worlds excuses it. */
function logFor(checker: Checker): Log {
  const bugs = new Set([
    "a command could not be decided",
    "an answer could not be given",
    "a deadline without a run",
    "a journal could not be read to its end",
    "a history cannot be read: the run is set aside",
  ]);
  const quiet = (): void => {};
  return {
    debug: quiet,
    info: quiet,
    warn: quiet,
    error(fields, message) {
      if (bugs.has(message))
        checker.violation(`the server logs: ${message}: ${(fields as { err?: Error }).err?.stack}`);
    },
  };
}
