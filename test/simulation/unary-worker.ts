import type { Assignment } from "../../src/engine/frames.ts";
import type { Calls } from "./calls.ts";
import type { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import type { Fired } from "./fired.ts";
import type { Process, Timeline } from "./timeline.ts";
import { UnaryRun } from "./unary-run.ts";

// A worker without a stream: it acquires, renews and writes with single calls, and interprets the same programs in its
// own way. A careless one goes on writing under a lease that it has lost, and says again, in other words, what it has
// said before: none of that may change anything.

export interface UnaryWorld {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly checker: Checker;
  readonly calls: Calls;
  readonly fired: Fired;
  readonly leaseTtlMs: number;
  readonly dies: (runId: string, key: string, deaths: number) => boolean;
}

const namespace = "default";
const waitMs = 2_000;

export class UnaryWorker {
  readonly process: Process;
  readonly #world: UnaryWorld;
  readonly #name: string;

  constructor(world: UnaryWorld, process: Process) {
    this.#world = world;
    this.process = process;
    this.#name = process.name;
    void this.#work();
  }

  async #work(): Promise<void> {
    for (let number = 1; ; number++) {
      const { checker, calls } = this.#world;
      const request = {
        namespace,
        queues: ["default", "other"],
        workflows: ["plain"],
        workerId: this.#name,
        requestId: `${this.#name}-${number}`,
        waitMs,
        leaseTtlMs: 0,
      };
      const acquired = await calls.call<Assignment | undefined>(
        this.process,
        `acquire of ${this.#name}`,
        (engine, signal) => engine.acquireLease(request, signal),
        (answer) => {
          if (!("answer" in answer) || answer.answer === undefined) return;
          const { lease } = answer.answer;
          const run = checker.known(lease.runId, "an assignment");
          if (run.epoch < lease.epoch)
            throw checker.violation(`I1 epoch ${lease.epoch} of ${lease.runId} is told early`);
          checker.leases.told(lease.leaseId);
        },
        waitMs + 500,
      );
      if ("answer" in acquired && acquired.answer !== undefined)
        await new UnaryRun(this.#world, this.process, acquired.answer).work();
      else await this.process.wait(200);
    }
  }
}
