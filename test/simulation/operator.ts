import { EngineError } from "../../src/core/errors.ts";
import type { Checker } from "./checker.ts";
import type { Plan } from "./plan.ts";
import { signalsOf } from "./programs.ts";
import type { Server } from "./server.ts";
import type { Process } from "./timeline.ts";

// When the faults are over: the operator lets go on what waits for a person, as long as there is any of it.

export class Operator {
  readonly #plan: Plan;
  readonly #checker: Checker;
  readonly #process: Process;
  readonly #server: () => Server | undefined;
  #rounds = 0;

  constructor(plan: Plan, checker: Checker, process: Process, server: () => Server | undefined) {
    this.#plan = plan;
    this.#checker = checker;
    this.#process = process;
    this.#server = server;
  }

  operate(): void {
    const server = this.#server();
    this.#rounds += 1;
    if (server !== undefined) {
      this.#signal(server);
      this.#resume(server);
    }
    this.#process.in(2_000, () => this.operate());
  }

  #signal({ engine }: Server): void {
    const { byId, wakes } = this.#checker;
    for (const choice of this.#plan.choices) {
      if (choice.kind !== "start") continue;
      const runId = `run-${choice.run}`;
      // A start that was lost until now is waited for: its signals are sent when the run is there.
      const run = byId.get(runId);
      if (run === undefined || run.ended !== undefined) continue;
      for (const name of signalsOf(choice.ops)) {
        // One may be taken by a call that nobody waits for any more, so another follows; never while one is there, which
        // would hide that it woke nobody.
        if (wakes.isOpen(run.runNo, name)) continue;
        const requestId = `last-${choice.run}-${name}-${this.#rounds >> 3}`;
        engine
          .signalRun({ namespace: "default", runId }, { name, payload: undefined, requestId })
          .catch((error: unknown) => this.#refused(error));
      }
    }
  }

  #resume({ engine, store }: Server): void {
    const { byId, requests } = this.#checker;
    for (const { runId, ended } of byId.values()) {
      if (ended !== undefined) continue;
      const row = store.findRun("default", runId);
      if (row?.status !== "PAUSED") continue;
      const resolution = row.pauseReason === "UNCERTAIN_EFFECT" ? ({ kind: "repeat" } as const) : undefined;
      requests.wish(runId, "resume", resolution?.kind);
      engine.resumeRun({ namespace: "default", runId }, resolution).catch((error: unknown) => this.#refused(error));
    }
  }

  #refused(error: unknown): void {
    if (error instanceof EngineError) this.#checker.bug("the operator", error.refusal);
    else this.#checker.violation(`the operator's call threw ${(error as Error).stack}`);
  }
}
