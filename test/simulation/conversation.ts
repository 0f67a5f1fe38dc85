import type { Change, OpResult } from "../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Assignment, ServerFrame, WorkerFrame } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { type Asked, type AskedChange, judgeApplied, judgeRefused } from "./answers.ts";
import type { Checker } from "./checker.ts";
import type { Timeline } from "./timeline.ts";

// Listens to one stream, at the server's socket. Whatever is told there must be in the file already, and a stream that
// the server has not ended is answered.

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const reasonNames = new Map(Object.entries(ErrorReason).map(([name, number]) => [number as number, name]));

/** What may be told to a worker that waits for its Welcome. */
const beforeWelcome: ReadonlySet<string> = new Set(["welcome", "goAway", "frameRefused"]);

/** Beats are answered without waiting for the disk. */
const beatAnswerMs = 200;

export class Conversation {
  readonly #checker: Checker;
  readonly #timeline: Timeline;
  readonly #asked = new Map<string, Asked & { readonly epoch: number }>();
  #instanceId = "";
  #welcome = false;
  #over = false;
  /** The oldest beat that was not answered: when it came, what it holds, and what of that had ended by then. */
  #beat:
    | {
        readonly beatSeq: bigint;
        readonly atMs: number;
        readonly held: readonly string[];
        readonly ended: readonly string[];
      }
    | undefined;

  constructor(checker: Checker, timeline: Timeline) {
    this.#checker = checker;
    this.#timeline = timeline;
  }

  /** The server ends the stream, or learns that it is broken. */
  ended(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#instanceId !== "") this.#checker.leases.streamLost(this.#instanceId);
  }

  asked({ frame }: WorkerFrame): void {
    this.#timeline.trace(`worker says ${frame.case}`);
    const { leases, requests } = this.#checker;
    switch (frame.case) {
      case "hello":
        this.#instanceId = frame.value.workerInstanceId;
        leases.listed(
          this.#instanceId,
          frame.value.held.map(({ lease }) => hex(lease?.leaseId ?? new Uint8Array())),
        );
        break;
      case "goodbye":
        leases.listed(this.#instanceId, []);
        this.#over = true;
        break;
      case "release":
        for (const { leaseId } of frame.value.leases) {
          leases.askedToEnd(hex(leaseId), "RELEASED");
          requests.release(hex(leaseId), Number(frame.value.retryAfterMs));
        }
        break;
      case "ops":
        for (const op of frame.value.ops) {
          if (op.lease === undefined) continue;
          const leaseId = hex(op.lease.leaseId);
          const changes = op.changes.map(changeOf);
          for (const { type, stepKey } of changes) requests.change(leaseId, type, stepKey);
          const last = changes.at(-1)?.type;
          if (last === "SuspendRun") leases.askedToEnd(leaseId, "SUSPENDED");
          else if (last === "CompleteRun" || last === "FailRun" || last === "CancelledRun")
            leases.askedToEnd(leaseId, "DONE");
          const { runId, epoch } = op.lease;
          this.#asked.set(`${leaseId} ${op.opId}`, { runId, epoch: Number(epoch), leaseId, changes });
        }
        break;
      case "beat":
        this.#beatCame(
          frame.value.beatSeq,
          frame.value.held.map(({ leaseId }) => hex(leaseId)),
        );
        break;
    }
  }

  #beatCame(beatSeq: bigint, held: readonly string[]): void {
    const { nowMs } = this.#timeline;
    const waited = this.#beat;
    if (waited !== undefined && this.#welcome && !this.#over) {
      const since = Math.max(waited.atMs, this.#checker.leases.disturbedUntilMs);
      if (nowMs - since > beatAnswerMs) {
        throw this.#checker.violation(
          `I12 a beat of ${this.#instanceId} is not answered on a stream that the server has not ended`,
        );
      }
    }
    if (waited !== undefined && !this.#welcome) return;
    const ended = held.filter((lease) => !this.#checker.leases.isLive(lease));
    this.#beat = { beatSeq, atMs: nowMs, held, ended };
  }

  told({ frame }: ServerFrame): void {
    this.#timeline.trace(`server says ${frame.case}`);
    const checker = this.#checker;
    if (!this.#welcome && !beforeWelcome.has(frame.case ?? "")) {
      throw checker.violation(`${this.#instanceId} is told ${frame.case} before its Welcome`);
    }
    switch (frame.case) {
      case "welcome":
        this.#welcome = true;
        break;
      case "assign":
        for (const assignment of frame.value.assignments) this.#assigned(assignment);
        break;
      case "opResults":
        for (const result of frame.value.results) this.#result(result);
        break;
      case "beatAck": {
        const beat = this.#beat;
        if (beat === undefined || beat.beatSeq !== frame.value.beatSeq) break;
        this.#beat = undefined;
        const lost = new Set(frame.value.lost.map(({ leaseId }) => hex(leaseId)));
        for (const lease of beat.ended) {
          if (!lost.has(lease)) throw checker.violation(`I5 a beat keeps ${lease}, which had ended`);
        }
        for (const lease of beat.held) {
          // What waited for the network says what was true when it was written.
          if (lost.has(lease) || beat.atMs !== this.#timeline.nowMs) continue;
          checker.renewed(lease, beat.atMs);
        }
      }
    }
  }

  #assigned({ lease }: Assignment): void {
    if (lease === undefined) return;
    const checker = this.#checker;
    const run = checker.known(lease.runId, "an assignment");
    const epoch = Number(lease.epoch);
    if (run.epoch < epoch) throw checker.violation(`I1 epoch ${epoch} of ${lease.runId} is told before it is durable`);
    if (run.epoch === epoch && run.leaseId !== hex(lease.leaseId)) {
      throw checker.violation(`I5 two leases of epoch ${epoch} of ${lease.runId}`);
    }
    checker.leases.told(hex(lease.leaseId));
  }

  #result({ opId, leaseId, result }: OpResult): void {
    const asked = this.#asked.get(`${hex(leaseId)} ${opId}`);
    if (asked === undefined) return;
    if (result.case === "applied") judgeApplied(this.#checker, asked);
    else if (result.case === "refused") {
      const reason = reasonNames.get(result.value.reason) ?? "";
      const broken = this.#checker.once.refused(asked.runId, asked.epoch, Number(opId), reason);
      if (broken !== undefined) throw this.#checker.violation(broken);
      judgeRefused(this.#checker, asked, reason, result.value.message);
    }
  }
}

function changeOf({ change }: Change): AskedChange {
  const type = change.case === undefined ? "" : `${change.case[0]?.toUpperCase()}${change.case.slice(1)}`;
  const value = change.value as { stepKey?: string; output?: { data: { value?: unknown } } } | undefined;
  return {
    type,
    stepKey: value?.stepKey ?? "",
    output: value?.output === undefined ? undefined : String(value.output.data.value),
  };
}
