// Giving up the lease to wait. While a suspend is on its way nobody knows whether the run goes on here, so whatever
// would make it go on (a notice, a due retry, a call of the code) is kept until the answer is there.
import type { OpRefusal } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import * as frames from "./frames.ts";
import type { LeaseRun } from "./lease-run.ts";
import { noticesOverdueMs } from "./limits.ts";
import type { TimerHandle } from "./ports.ts";

export class Suspension {
  readonly #run: LeaseRun;
  /** Also before the start, while parts of the journal are still to come. */
  #undecided = true;
  #later: (() => void)[] = [];
  #awaitingNotice: TimerHandle | undefined;

  constructor(run: LeaseRun) {
    this.#run = run;
  }

  /** True while it makes no sense to try: the answer is on its way, or the notice that it announced. */
  get blocked(): boolean {
    return this.#undecided || this.#awaitingNotice !== undefined;
  }

  whenLive(action: () => void): void {
    if (this.#undecided) this.#later.push(action);
    else action();
  }

  goOn(): void {
    this.#undecided = false;
    const waiting = this.#later;
    this.#later = [];
    for (const action of waiting) this.#run.whenLive(action);
  }

  noticed(): void {
    this.#awaitingNotice?.cancel();
    this.#awaitingNotice = undefined;
  }

  begin(): void {
    const run = this.#run;
    this.#undecided = true;
    run.pipe.submit([frames.suspendRun(run.waits.awaits(), run.noticesSeen)], 0, {
      applied: () => run.end(),
      precedingFailed: () => {
        this.goOn();
        run.planIdleCheck();
      },
      refused: (refusal) => this.#refused(refusal),
    });
  }

  #refused(refusal: OpRefusal): void {
    const run = this.#run;
    const noticed = this.#later.length > 0;
    this.goOn();
    switch (refusal.reason) {
      case ErrorReason.NOTICES_PENDING:
        if (noticed) return;
        this.#awaitingNotice = run.ports.clock.setTimer(
          Math.max(noticesOverdueMs, Number(refusal.retryAfterMs)),
          () => {
            this.#awaitingNotice = undefined;
            run.abandon("a suspend was refused NOTICES_PENDING and no notice came");
          },
        );
        return;
      case ErrorReason.RUN_PAUSED:
        return run.giveBack();
      default:
        return run.abandon(`suspend was refused: ${refusal.message}`);
    }
  }

  drop(): void {
    this.noticed();
    this.#later = [];
  }
}
