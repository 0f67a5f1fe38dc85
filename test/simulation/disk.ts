import type { Batch, CommitOutcome, Store } from "../../src/store/store.ts";
import type { Chance } from "./chance.ts";
import type { Fired } from "./fired.ts";
import { createImage, type Image, type ImageKind } from "./images.ts";
import type { Process, Timeline } from "./timeline.ts";

// A disk below the store. A commit is durable after its sync; a crash before that leaves it in the file or not,
// as chance has it, and nobody was told either way. Commits are written one behind the other, and one behind a commit
// that failed is refused by the store.

export class Disk {
  /** Every durable batch, in order: the file. */
  readonly synced: Batch[] = [];
  full = false;
  /** How the coming commits end. */
  failing: "constraint" | "fatal" | undefined;
  slowMs = 0;
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #fired: Fired;
  readonly #onDurable: (batch: Batch) => void;
  readonly #onBegin: (batch: Batch) => void;
  readonly #onRefused: (message: string) => void;
  readonly #image: Image;
  #store: Store | undefined;
  /** What was given and has no outcome yet, in order. */
  #underWay: Batch[] = [];
  /** Of those, the ones that were given before the commit before them failed. */
  readonly #orphans = new Set<Batch>();
  #before: Promise<unknown> = Promise.resolve();
  /** Commits that the coming constraint lets pass at most, until one comes that has another behind it. */
  #spares = 0;

  constructor(
    kind: ImageKind,
    timeline: Timeline,
    chance: Chance,
    fired: Fired,
    {
      onBegin,
      onDurable,
      onRefused,
    }: {
      onBegin: (batch: Batch) => void;
      onDurable: (batch: Batch) => void;
      /** The store itself, and no fault of the plan, says no. */
      onRefused: (message: string) => void;
    },
  ) {
    this.#image = createImage(kind, this.synced);
    this.#onBegin = onBegin;
    this.#onRefused = onRefused;
    this.#timeline = timeline;
    this.#chance = chance;
    this.#fired = fired;
    this.#onDurable = onDurable;
  }

  /** The power is gone, or the process is: what was being written may be there. */
  crash(): void {
    const underWay = this.#underWay.filter((batch) => !this.#orphans.has(batch));
    this.#underWay = [];
    for (const batch of underWay) {
      const kept = this.#chance.maybe(0.5);
      this.#timeline.trace(`disk commit ${batch.commitNo} ${kept ? "survives" : "is lost"}`);
      this.#fired.hit(kept ? "crashKeeps" : "crashLoses");
      if (!kept) return;
      void this.#store?.commit(batch);
      this.#keep(batch);
    }
  }

  /** Every other constraint waits for a commit with another behind it, for some commits: by itself that is rare. */
  #sparesThisOne(): boolean {
    if (this.failing !== "constraint" || this.#underWay.length > 1) return false;
    this.#spares -= 1;
    return this.#spares >= 0;
  }

  #ended(batch: Batch): void {
    this.#underWay = this.#underWay.filter((other) => other !== batch);
  }

  #keep(batch: Batch): void {
    this.synced.push(batch);
    this.#onDurable(batch);
  }

  /** A store on what the disk holds now, for one life of the server. */
  open(process: Process): Store {
    const store = this.#image.open();
    this.#store = store;
    this.#before = Promise.resolve();
    const sync = (): Promise<void> =>
      new Promise((resolve) => process.in(0.2 + this.#chance.float() * (2 + this.slowMs), resolve));
    const failedSync: CommitOutcome = { kind: "fatal", message: "simulated: sync failed" };
    let failed = false;
    const commit = async (batch: Batch): Promise<CommitOutcome> => {
      if (failed) return failedSync;
      if (this.#orphans.has(batch)) {
        await sync();
        return this.#refuseOrphan(store, batch);
      }
      if (this.slowMs > 0) this.#fired.hit("slowDisk");
      await sync();
      if (this.full) {
        this.#fired.hit("fullDisk");
        return this.#refused(batch, { kind: "full", message: "simulated: no room" });
      }
      const failing = this.#sparesThisOne() ? undefined : this.failing;
      if (failing !== undefined) this.failing = undefined;
      if (failing === "constraint") {
        // Below 0 this one had none to spare: the next one has.
        this.#spares = this.#spares < 0 ? 20 : 0;
        this.#fired.hit("constraint");
        return this.#refused(batch, { kind: failing, message: "simulated: constraint" });
      }
      if (failing === "fatal") {
        this.#fired.hit("failedSync");
        failed = true;
        this.crash();
        return failedSync;
      }
      const outcome = await store.commit(batch);
      this.#ended(batch);
      if (outcome.kind === "durable") this.#keep(batch);
      else this.#onRefused(outcome.message);
      return outcome;
    };
    return {
      ...store,
      commit: (given): Promise<CommitOutcome> => {
        const batch = copyOf(given);
        if (this.#underWay.length > 0) this.#fired.hit("queuedCommit");
        this.#underWay.push(batch);
        this.#onBegin(batch);
        const outcome = this.#before.then(() => commit(batch));
        this.#before = outcome;
        return outcome;
      },
      probe: async () => {
        await sync();
        return this.full ? { kind: "full", message: "simulated: no room" } : { kind: "durable" };
      },
    };
  }

  remove(): void {
    this.#image.remove();
  }

  #refused(batch: Batch, outcome: CommitOutcome): CommitOutcome {
    this.#timeline.trace(`disk ${outcome.kind}`);
    this.#ended(batch);
    for (const behind of this.#underWay) this.#orphans.add(behind);
    return outcome;
  }

  /** What was decided on top of a failed commit must not get into the file, whatever its rows are. */
  async #refuseOrphan(store: Store, batch: Batch): Promise<CommitOutcome> {
    const outcome = await store.commit(batch);
    if (outcome.kind === "durable") this.#onRefused(`commit ${batch.commitNo} was written behind one that failed`);
    else this.#fired.hit("orphan");
    this.#orphans.delete(batch);
    this.#ended(batch);
    return outcome;
  }
}

function copyOf(batch: Batch): Batch {
  return {
    ...batch,
    events: [...batch.events],
    runs: batch.runs.map((row) => ({ ...row })),
    deadlines: [...batch.deadlines],
  };
}
