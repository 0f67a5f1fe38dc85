import type { ApplyOp, Change } from "../core/command.ts";
import { digestOf } from "../core/digest.ts";
import type { Refusal } from "../core/errors.ts";
import type { OpRequest } from "./api.ts";
import { resolveLease } from "./claims.ts";
import type { LeaseHandle, OpOutcome, WorkerClaim } from "./frames.ts";
import type { Kernel } from "./kernel.ts";
import { rememberRefusal, runOp } from "./ops.ts";
import type { Settled, Transaction, Work } from "./transaction.ts";

export interface OpSource {
  readonly namespace: string;
  readonly onSession: boolean;
}

/**
 * An op from its submission to its answer: what was asked, core's command, the writer's piece of work, and what waits
 * for the batch to be durable. One object, because thousands of them are under way for as long as a commit takes, and
 * the collector carries along whatever each of them is made of.
 */
export class OpWork implements ApplyOp, OpRequest, OpSource, Work, Settled {
  readonly type = "ApplyOp";
  readonly namespace: string;
  readonly onSession: boolean;
  readonly lease: LeaseHandle;
  readonly opId: number;
  readonly afterRefused: number;
  readonly changes: readonly Change[];
  readonly digest: number;
  readonly bytes: number;
  readonly #kernel: Kernel;
  readonly #answer: (outcome: OpOutcome, op: OpRequest) => void;
  #outcome: OpOutcome | undefined;

  constructor(
    kernel: Kernel,
    source: OpSource,
    request: OpRequest,
    answer: (outcome: OpOutcome, op: OpRequest) => void,
  ) {
    this.namespace = source.namespace;
    this.onSession = source.onSession;
    this.lease = request.lease;
    this.opId = request.opId;
    this.afterRefused = request.afterRefused;
    this.changes = request.changes;
    this.digest = request.opId === 0 ? 0 : digestOf(request.changes);
    this.bytes = carriedBytes(request.changes);
    this.#kernel = kernel;
    this.#answer = answer;
  }

  run(transaction: Transaction): void {
    runOp(this.#kernel, transaction, this);
  }

  refuse(refusal: Refusal): void {
    rememberRefusal(this.#kernel, this, refusal);
    this.#kernel.counters.opsRefused += 1;
    this.answer(refusal);
  }

  /** The answer, once the batch is durable. */
  decided(transaction: Transaction, outcome: OpOutcome): void {
    this.#outcome = outcome;
    transaction.after(this);
  }

  settled(): void {
    this.answer(this.#outcome as OpOutcome);
  }

  answer(outcome: OpOutcome): void {
    this.#answer(outcome, this);
  }
}

export function submitOp(
  kernel: Kernel,
  source: OpSource,
  request: OpRequest,
  answer: (outcome: OpOutcome, op: OpRequest) => void,
): void {
  kernel.counters.ops += 1;
  kernel.writer.submit(new OpWork(kernel, source, request, answer));
}

/** One whose lease its holder may have named: it has no number, and nothing is remembered of it. */
export function submitClaimedOp(
  kernel: Kernel,
  namespace: string,
  request: { readonly lease: LeaseHandle | WorkerClaim; readonly changes: readonly Change[] },
  answer: (outcome: OpOutcome) => void,
): void {
  kernel.counters.ops += 1;
  const source = { namespace, onSession: false };
  kernel.writer.submit({
    bytes: carriedBytes(request.changes),
    run(transaction) {
      const lease = resolveLease(kernel, namespace, request.lease);
      new OpWork(kernel, source, { ...request, lease, opId: 0, afterRefused: 0 }, answer).run(transaction);
    },
    refuse(refusal) {
      kernel.counters.opsRefused += 1;
      answer(refusal);
    },
  });
}

/** Refuses an op that the wire found invalid, in its place among the others. */
export function submitInvalidOp(
  kernel: Kernel,
  request: Pick<OpRequest, "lease" | "opId">,
  refusal: Refusal,
  answer: (outcome: OpOutcome) => void,
): void {
  kernel.writer.submit({
    run(transaction) {
      rememberRefusal(kernel, request, refusal);
      transaction.after(() => answer(refusal));
    },
    refuse: answer,
  });
}

/** About what it takes in memory while it waits: counted on the hot path, so without looking into the payloads. */
function carriedBytes(changes: readonly Change[]): number {
  let bytes = 0;
  for (const change of changes) {
    if ("output" in change) bytes += change.output?.data.length ?? 0;
    else if ("input" in change) bytes += change.input?.data.length ?? 0;
    else if ("failure" in change) bytes += change.failure.details?.data.length ?? 0;
  }
  return bytes;
}
