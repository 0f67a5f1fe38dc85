import { EngineError } from "../../src/core/errors.ts";
import type { Engine, RunView } from "../../src/engine/api.ts";
import type { Batch } from "../../src/store/store.ts";
import type { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import type { Fired } from "./fired.ts";
import type { Server } from "./server.ts";
import type { Process } from "./timeline.ts";

// Who only looks: spies that ask about a run while a commit of it is under way, and watchers that follow a run to its
// end over every life of the server. Both may see durable things only.

const namespace = "default";

export function judgeView(checker: Checker, view: RunView): void {
  const run = checker.known(view.runId, "a view");
  const closed = view.closedAtMs !== 0;
  if (view.lastSeq > run.lastSeq || view.stepsCompleted > run.stepsCompleted || (closed && run.ended === undefined)) {
    throw checker.violation(`I1 ${view.runId}: an answer shows what is not durable`);
  }
}

export class Readers {
  readonly #checker: Checker;
  readonly #chance: Chance;
  readonly #fired: Fired;
  readonly #server: () => Server | undefined;
  readonly #process: Process;
  /** Watchers that have not seen the end of their run. */
  open = 0;

  constructor(checker: Checker, chance: Chance, fired: Fired, process: Process, server: () => Server | undefined) {
    this.#checker = checker;
    this.#chance = chance;
    this.#fired = fired;
    this.#process = process;
    this.#server = server;
  }

  /** A commit is under way: asks about one of its runs before it is durable. */
  spy(batch: Batch): void {
    const server = this.#server();
    const { runNo } = this.#chance.pick(batch.events);
    const run = this.#checker.runs.get(runNo);
    if (server === undefined || run === undefined) return;
    const ref = { namespace, runId: run.runId };
    server.process.in(this.#chance.float() * 0.2, () => {
      this.#fired.hit("spy");
      this.#quietly(this.#look(server.engine, ref));
    });
  }

  async #look(engine: Engine, ref: { namespace: string; runId: string }): Promise<void> {
    const checker = this.#checker;
    switch (this.#chance.between(0, 3)) {
      case 0: {
        const { items } = await engine.history(ref, { afterSeq: 0, limit: 1_000 });
        const { lastSeq } = checker.known(ref.runId, "a history");
        if ((items.at(-1)?.seq ?? 0) > lastSeq) throw checker.violation(`I1 ${ref.runId}: a history is not durable`);
        return;
      }
      case 1: {
        const filter = { namespace, workflow: "", queue: "", statuses: [], runKey: "" };
        const { items } = await engine.listRuns(filter, { beforeRunNo: Number.MAX_SAFE_INTEGER, limit: 100 });
        for (const view of items) judgeView(checker, view);
        return;
      }
      default:
        return judgeView(checker, await engine.getRun(ref));
    }
  }

  /** Follows a run from its creation to its end; gives up when it will never be created. */
  watch(runId: string, hopeless: () => boolean): void {
    this.open += 1;
    let afterSeq = 0;
    const follow = async (server: Server): Promise<void> => {
      const { signal } = new AbortController();
      for await (const events of server.engine.watchRun({ namespace, runId }, { afterSeq, signal })) {
        const run = this.#checker.known(runId, "a watch");
        for (const event of events) {
          if (event.seq !== afterSeq + 1)
            throw this.#checker.violation(`I3 a watch of ${runId} goes from ${afterSeq} to ${event.seq}`);
          afterSeq = event.seq;
        }
        if (afterSeq > run.lastSeq) throw this.#checker.violation(`I1 a watch of ${runId} shows what is not durable`);
      }
    };
    let watched: Server | undefined;
    const look = (): void => {
      const run = this.#checker.byId.get(runId);
      if ((run?.ended !== undefined && afterSeq === run.lastSeq) || (run === undefined && hopeless())) {
        if (run !== undefined) this.#fired.hit("watch");
        this.open -= 1;
        return;
      }
      const server = this.#server();
      if (server !== undefined && server !== watched && run !== undefined) {
        watched = server;
        const again = (): void => {
          if (watched === server) watched = undefined;
        };
        this.#quietly(follow(server).then(again));
      }
      this.#process.in(1_000, look);
    };
    look();
  }

  #quietly(looking: Promise<void>): void {
    looking.catch((error: unknown) => {
      if (error instanceof EngineError) this.#checker.bug("a look", error.refusal);
      else this.#checker.violation((error as Error).stack ?? String(error));
    });
  }
}
