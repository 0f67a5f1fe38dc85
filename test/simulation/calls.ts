import { EngineError, type Refusal } from "../../src/core/errors.ts";
import type { Engine } from "../../src/engine/api.ts";
import type { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import type { Fired } from "./fired.ts";
import type { Server } from "./server.ts";
import type { Process } from "./timeline.ts";

// Single calls over a network that loses calls and answers and lets some arrive twice. A caller asks again until it is
// answered. An answer is judged when it leaves the server: also one that gets lost, because it might have arrived.

export interface CallWorld {
  readonly checker: Checker;
  readonly net: Chance;
  readonly fired: Fired;
  readonly latencyMs: number;
  /** Now: 0 when the faults are over. */
  readonly lossShare: () => number;
  readonly repeatShare: () => number;
  readonly server: () => Server | undefined;
}

/** An answer, or the refusal that stands in its place. */
export type Answer<T> = { readonly answer: T } | { readonly refusal: Refusal };

/** An answer that does not come within this time is asked for again. */
const retryMs = 300;
const forNow: ReadonlySet<string> = new Set(["BUSY", "DISK_FULL", "SHUTTING_DOWN", "INTERNAL"]);

export class Calls {
  /** Calls of clients that were not answered yet. */
  open = 0;
  readonly #world: CallWorld;

  constructor(world: CallWorld) {
    this.#world = world;
  }

  /** Asks until it is answered, and forgets it with the caller's death. `judge` throws when the answer may not be. */
  async call<T>(
    process: Process,
    name: string,
    ask: (engine: Engine, signal: AbortSignal) => Promise<T>,
    judge: (answer: Answer<T>) => void,
    patienceMs = retryMs,
  ): Promise<Answer<T>> {
    const { net, fired } = this.#world;
    return new Promise((resolve) => {
      let done = false;
      let asked = false;
      const asks =
        (repeat: boolean) =>
        (engine: Engine, signal: AbortSignal): Promise<T> => {
          if (repeat && asked) fired.hit("repeatedCall");
          asked = true;
          return ask(engine, signal);
        };
      const arrived = (answer: Answer<T>): void => {
        if (done) return;
        done = true;
        process.timeline.trace(`${name} is answered`);
        process.timeline.note(JSON.stringify(answer) ?? "");
        resolve(answer);
      };
      const attempt = (): void => {
        if (done) return;
        const { lossShare, repeatShare, server } = this.#world;
        if (!net.maybe(lossShare())) this.#once(process, name, asks(false), judge, arrived);
        else if (server() !== undefined) fired.hit("lostCall");
        if (net.maybe(repeatShare())) {
          process.in(net.float() * 3_000, () => this.#once(process, name, asks(true), judge, arrived));
        }
        process.in(patienceMs * (1 + net.float()), attempt);
      };
      attempt();
    });
  }

  #once<T>(
    process: Process,
    name: string,
    ask: (engine: Engine, signal: AbortSignal) => Promise<T>,
    judge: (answer: Answer<T>) => void,
    arrived: (answer: Answer<T>) => void,
  ): void {
    const { checker, net, fired, latencyMs, lossShare, server: serverNow } = this.#world;
    const server = serverNow();
    if (server === undefined) return;
    const lost = net.maybe(lossShare());
    const caller = new AbortController();
    let told = false;
    const tell = (answer: Answer<T>): void => {
      if (!server.process.alive) return;
      told = true;
      if (lost && !caller.signal.aborted) fired.hit("lostAnswer");
      try {
        judge(answer);
      } catch (error) {
        checker.violation(String(error)); // kept: nobody else hears of it
      }
      if (!lost && !caller.signal.aborted) process.in(net.float() * latencyMs, () => arrived(answer));
    };
    server.process.in(net.float() * latencyMs, () => {
      // A caller whose connection breaks is gone before it has its answer.
      if (lost && net.maybe(0.5)) {
        server.process.in(net.float() * 1_000, () => {
          if (!told) fired.hit("callerGone");
          caller.abort();
        });
      }
      ask(server.engine, caller.signal).then(
        (answer) => tell({ answer }),
        (error: unknown) => {
          if (!(error instanceof EngineError)) {
            checker.violation(`${name} threw ${(error as Error).stack}`);
            return;
          }
          checker.bug(name, error.refusal);
          if (!forNow.has(error.refusal.reason)) tell({ refusal: error.refusal });
        },
      );
    });
  }
}
