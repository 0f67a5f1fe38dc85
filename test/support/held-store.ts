import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { CommitOutcome, Store } from "../../src/store/store.ts";

/** A memory store whose commits the test holds open and whose outcomes it chooses. */
export class HeldStore {
  readonly store: Store;
  holding = false;
  /** What the coming commits and probes end with; undefined: durable. */
  outcome: CommitOutcome | undefined;
  private waiting: (() => void)[] = [];

  constructor() {
    this.store = createMemoryStore({
      beforeCommit: async () => {
        if (this.holding) await new Promise<void>((resolve) => this.waiting.push(resolve));
        return this.outcome;
      },
    });
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
