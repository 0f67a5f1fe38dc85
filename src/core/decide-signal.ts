import type { SignalRun, TakeSignal } from "./command.ts";
import { type Accepted, accept, alreadyApplied, type DecideContext, sequence, serverKey } from "./decision.ts";
import { closed, corrupt, isOpen } from "./decide-run.ts";
import { type ChangeContext, opColumns } from "./decide-step.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { RunEvent } from "./event.ts";
import { atHistoryLimit, historyLimit } from "./history-limit.ts";
import { payloadBytes } from "./payload.ts";
import type { RunState } from "./state.ts";

// Signals as their senders and the seed's workers see them. A worker of ours consumes a signal under a step key (see
// decide-wait.ts), or has said at its suspend under which one it waits: then the commit that records the signal consumes
// it too, and the next holder of the lease finds it in its journal instead of asking for it. A worker of the seed's takes
// the oldest and says nothing of a step: it is reserved for the lease, and the next result that the lease commits
// consumes it. So a crash in between gives it back.

export function decideSignal(state: RunState, command: SignalRun, context: DecideContext): Accepted | Refusal {
  const known = command.requestId === "" ? undefined : state.signalRequests.get(command.requestId);
  if (known !== undefined) return alreadyApplied([{ kind: "signal", index: 0, signalSeq: known }]);
  if (!isOpen(state)) return closed(state);
  const stepKey = waitFor(state, command.name);
  if (stepKey === undefined && state.signals.length >= context.limits.openSignalsMax) {
    return refuse("HISTORY_LIMIT", `run has ${state.signals.length} open signals, the limit`, { field: "name" });
  }
  if (atHistoryLimit(state, context, payloadBytes(command.payload))) return historyLimit(state);
  const { name, payload } = command;
  const next = sequence(state, context.nowMs);
  const detail = { name, ...(command.requestId === "" ? {} : { requestId: command.requestId }) };
  const received = next("SignalReceived", detail, { payload });
  const events = [received];
  if (stepKey !== undefined) events.push(next("SignalConsumed", { signalSeq: received.seq, name }, { stepKey }));
  return accept(events, [{ kind: "signal", index: 0, signalSeq: received.seq }]);
}

/** The step key under which a suspended run waits for a signal of this name; undefined when it did not say one. */
function waitFor(state: RunState, name: string): string | undefined {
  if (state.status !== "WAITING") return undefined;
  for (const awaited of state.awaits) {
    if (awaited.kind === "signal" && awaited.name === name && awaited.stepKey !== undefined) return awaited.stepKey;
  }
  return undefined;
}

/** Refused NO_SIGNAL when none is open. The note names the signal. */
export function decideTakeSignal(state: RunState, _command: TakeSignal, context: DecideContext): Accepted | Refusal {
  if (!isOpen(state)) return closed(state);
  if (state.pauseReason === "CORRUPT_HISTORY") return corrupt(state);
  const [oldest] = state.signals;
  if (oldest === undefined) return refuse("NO_SIGNAL", "no signal is open");
  if (atHistoryLimit(state, context, 0)) return historyLimit(state);
  const next = sequence(state, context.nowMs);
  const detail = { signalSeq: oldest.seq, name: oldest.name };
  const event =
    state.lease === undefined
      ? next("SignalConsumed", detail, { stepKey: serverKey(oldest.seq) })
      : next("SignalReserved", detail, { epoch: state.lease.epoch });
  return accept([event], [{ kind: "signal", index: 0, signalSeq: oldest.seq }]);
}

/** A result of the lease is committed: what its holder had taken is used up by it. */
export function consumeReserved(state: RunState, context: ChangeContext): RunEvent[] {
  if (state.reservedSignals.length === 0) return [];
  return state.reservedSignals.map(({ seq, name }) =>
    context.next("SignalConsumed", { signalSeq: seq, name }, opColumns(context, { stepKey: serverKey(seq) })),
  );
}
