import type { Batch, CommitOutcome, Store } from "../../src/store/store.ts";
import type { Chance } from "./chance.ts";
import type { Fired } from "./fired.ts";
import { createImage, type Image, type ImageKind } from "./images.ts";
import type { Process, Timeline } from "./timeline.ts";

// A disk below the store. A commit is durable after its sync; a crash before that leaves it in the file or not,
// as chance has it, and nobody was told either way.

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
  #underWay: Batch | undefined;

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
    const batch = this.#underWay;
    this.#underWay = undefined;
    if (batch === undefined) return;
    const kept = this.#chance.maybe(0.5);
    this.#timeline.trace(`disk commit ${batch.commitNo} ${kept ? "survives" : "is lost"}`);
    this.#fired.hit(kept ? "crashKeeps" : "crashLoses");
    if (!kept) return;
    void this.#store?.commit(batch);
    this.#keep(batch);
  }

  #keep(batch: Batch): void {
    this.synced.push(batch);
    this.#onDurable(batch);
  }

  /** A store on what the disk holds now, for one life of the server. */
  open(process: Process): Store {
    const store = this.#image.open();
    this.#store = store;
    const sync = (): Promise<void> =>
      new Promise((resolve) => process.in(0.2 + this.#chance.float() * (2 + this.slowMs), resolve));
    return {
      ...store,
      commit: async (given): Promise<CommitOutcome> => {
        const batch = copyOf(given);
        this.#underWay = batch;
        this.#onBegin(batch);
        if (this.slowMs > 0) this.#fired.hit("slowDisk");
        await sync();
        if (this.full) {
          this.#fired.hit("fullDisk");
          return this.#refused({ kind: "full", message: "simulated: no room" });
        }
        const { failing } = this;
        this.failing = undefined;
        if (failing === "constraint") {
          this.#fired.hit("constraint");
          return this.#refused({ kind: failing, message: "simulated: constraint" });
        }
        if (failing === "fatal") {
          this.#fired.hit("failedSync");
          this.crash();
          return { kind: failing, message: "simulated: sync failed" };
        }
        const outcome = await store.commit(batch);
        this.#underWay = undefined;
        if (outcome.kind === "durable") this.#keep(batch);
        else this.#onRefused(outcome.message);
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

  #refused(outcome: CommitOutcome): CommitOutcome {
    this.#timeline.trace(`disk ${outcome.kind}`);
    this.#underWay = undefined;
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
