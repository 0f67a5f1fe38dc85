import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { CommitOutcome, Store } from "../../src/store/store.ts";

/** A memory store whose commits the test holds open and whose outcomes it chooses. */
export class HeldStore {
  readonly store: Store;
  /** The numbers of the commits that it was given, the one that it holds open and those behind it among them. */
  readonly given: number[] = [];
  holding = false;
  /** What the coming commits and probes end with; undefined: durable. */
  outcome: CommitOutcome | undefined;
  private waiting: (() => void)[] = [];

  constructor() {
    const store = createMemoryStore({
      beforeCommit: async () => {
        if (this.holding) await new Promise<void>((resolve) => this.waiting.push(resolve));
        return this.outcome;
      },
    });
    const commit: Store["commit"] = (batch) => {
      this.given.push(batch.commitNo);
      return store.commit(batch);
    };
    this.store = { ...store, commit };
  }
  get held(): number {
    return this.waiting.length;
  }
  /** Lets the commit that is under way end. */
  release(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
