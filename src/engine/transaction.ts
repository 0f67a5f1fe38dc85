import type { Refusal } from "../core/errors.ts";
import { besidesMax } from "../limits.ts";
import type { Batch } from "../store/store.ts";
import type { Waiting } from "./mailbox.ts";

// What the writer decides, and the batch into which it is decided: the two ends of a contract. Work knows nothing of
// commits but that the batch is told of its own.

/** A piece of work: decides and records. It may run again after a failed commit; it must record after deciding. */
export interface Work extends Waiting {
  run(transaction: Transaction): void;
  /** Nothing of it is applied. */
  refuse(refusal: Refusal): void;
}

/** What waits for its batch without a closure of its own. */
export interface Settled {
  settled(): void;
}

/** The open batch as work sees it. */
export interface Transaction {
  readonly commitNo: number;
  readonly batch: Batch;
  /** Called when this batch and all before it are durable, in order. */
  after(run: (() => void) | Settled): void;
  /**
   * Called while the store commits this batch: for reads whose time would otherwise follow it. Only the first few are;
   * who asks must get by without.
   */
  beside(run: () => void): void;
  /** Throws when nothing may be written: call it before changing any state. */
  claimWrite(): void;
}

/** A batch from its first work until it is durable or discarded. */
export interface OpenBatch extends Transaction {
  /** It holds one work that is decided again alone. */
  alone: boolean;
  /** Payload and detail of its events. */
  bytes: number;
  /** Events of its works: not those that the server adds by itself, which nobody asked for. */
  asked: number;
  readonly works: Work[];
  readonly callbacks: ((() => void) | Settled)[];
  readonly besides: (() => void)[];
}

export function openBatch(commitNo: number, claimWrite: () => void): OpenBatch {
  const callbacks: OpenBatch["callbacks"] = [];
  const besides: OpenBatch["besides"] = [];
  return {
    alone: false,
    bytes: 0,
    asked: 0,
    commitNo,
    batch: { commitNo, newestAtMs: 0, events: [], runs: [], deadlines: [] },
    works: [],
    callbacks,
    besides,
    beside(run) {
      if (besides.length < besidesMax) besides.push(run);
    },
    after: (run) => callbacks.push(run),
    claimWrite,
  };
}

/** False when there is nothing in it for the file. */
export function writes({ batch }: OpenBatch): boolean {
  return batch.events.length > 0 || batch.runs.length > 0 || batch.deadlines.length > 0;
}
