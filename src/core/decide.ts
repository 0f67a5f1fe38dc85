import type { RunCommand } from "./command.ts";
import { decideDeadline } from "./decide-deadline.ts";
import { decideEndLease, decideExtend, decideGrant, decideRelease } from "./decide-lease.ts";
import { decideOp } from "./decide-op.ts";
import { decideCancel, decidePause, decideResume, decideRetry, decideTerminate } from "./decide-run.ts";
import { decideSignal, decideTakeSignal } from "./decide-signal.ts";
import { decideAddTimer } from "./decide-wait.ts";
import type { DecideContext, Decision } from "./decision.ts";
import { unreachable } from "./unreachable.ts";
import type { RunState } from "./state.ts";

/**
 * The only dispatch: (state, command) -> events or a refusal. Pure: the state is as before when it returns, and the
 * same state, command, instant and random numbers give the same decision.
 */
export function decide(state: RunState, command: RunCommand, context: DecideContext): Decision {
  switch (command.type) {
    case "ApplyOp":
      return decideOp(state, command, context);
    case "Grant":
      return decideGrant(state, command, context);
    case "EndLease":
      return decideEndLease(state, command, context);
    case "ExtendLease":
      return decideExtend(state, command, context);
    case "ReleaseLease":
      return decideRelease(state, command, context);
    case "SignalRun":
      return decideSignal(state, command, context);
    case "CancelRun":
      return decideCancel(state, command, context);
    case "TerminateRun":
      return decideTerminate(state, command, context);
    case "PauseRun":
      return decidePause(state, command, context);
    case "ResumeRun":
      return decideResume(state, command, context);
    case "RetryRun":
      return decideRetry(state, command, context);
    case "AddTimer":
      return decideAddTimer(state, command, context);
    case "TakeSignal":
      return decideTakeSignal(state, command, context);
    case "DeadlineDue":
      return decideDeadline(state, command, context);
    default:
      return unreachable(command);
  }
}
