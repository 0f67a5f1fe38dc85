"""One run under one lease: starts the workflow function over the journal, answers its durable calls, reacts to notices,
and ends the lease with a result, a suspension or a release. When the lease ends before the function, the function is
unwound: what it awaits raises ``Unwound``.

Lives on the user's loop; its channel is the session's end of the lease.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from . import _frames as frames
from . import _limits as limits
from ._crossing import Crossing
from ._gen import error_reason_pb2 as reasons
from ._gen.change_pb2 import Change, OpApplied, OpRefusal
from ._gen.payload_pb2 import Payload
from ._gen.worker_service_pb2 import Assignment, JournalEntry, Notice
from ._journal import Journal
from ._keys import StepKeys
from ._lease_channel import LeaseChannel
from ._notices import react
from ._op_pipe import OpHandlers
from ._ports import Log
from ._settlement import Settlement
from ._step_threads import StepThreads
from ._suspension import Suspension
from ._waits import Waits
from ._workflow_loop import WorkflowLoop
from .codec import PayloadCodec, decode_payload, encode_within
from .errors import CancelledError, LeaseLostError, NonDeterminismError, PayloadTooLargeError, Unwound
from .failure import carries_cancel, failed_steps, to_failure

if TYPE_CHECKING:
    from .step_attempt import RunningAttempt

RunBody = Callable[["LeaseRun", Any], Coroutine[Any, Any, Any]]
"""A workflow function over its context."""


class RunHost(Protocol):
    """What a run needs from its worker."""

    @property
    def crossing(self) -> Crossing: ...

    @property
    def codec(self) -> PayloadCodec: ...

    @property
    def log(self) -> Log: ...

    @property
    def threads(self) -> StepThreads: ...

    @property
    def payload_bytes_max(self) -> int: ...

    def ended(self, run: LeaseRun) -> None:
        """The run's code is at its end here."""


class LeaseRun:
    channel: LeaseChannel
    """Set before the first call."""

    def __init__(self, host: RunHost, assignment: Assignment, body: RunBody) -> None:
        self.host = host
        self.crossing = host.crossing
        self.clock = host.crossing.clock
        self.assignment = assignment
        self.run_id = assignment.lease.run_id
        self.fencing_token = assignment.lease.epoch
        self.notices_seen = assignment.journal_through
        self.journal = Journal(self.at_turn)
        self.keys = StepKeys()
        self.waits = Waits(self)
        self.loop = WorkflowLoop(self.wake, self._report)
        self.settlements: set[Settlement] = set()
        self.failed_steps: set[str] = set()
        """Steps that have failed for good; a failed run may name no others."""
        self.attempts: set[RunningAttempt] = set()
        """Attempts whose function runs."""
        self.outcomes_pending = 0
        """Results that are on their way to be durable."""
        self.cancel: CancelledError | None = None
        """Set once the workflow may see that its cancel was requested."""
        self.is_over = False
        self._body = body
        self._suspension = Suspension(self)
        self._started = False
        self._finishing = False
        self._giving_back = False
        self._idle_planned = False
        self._turn_planned = False
        self._turn_tasks: deque[Callable[[], None]] = deque()
        self._unwindings = 0
        # A cancel from before the grant counts when the replay has come to its end.
        self._cancel_to_come: CancelledError | None = None

    # Turns of the code

    def wake(self) -> None:
        """The run gets a turn on the user's loop."""
        if not self._turn_planned:
            self._turn_planned = True
            self.crossing.loop.call_soon(self._take_turn)

    def at_turn(self, task: Callable[[], None]) -> None:
        """Runs a task when the code has gone as far as it can."""
        self._turn_tasks.append(task)
        self.wake()

    def _take_turn(self) -> None:
        try:
            while True:
                if not self.loop.run_ready(limits.TURN_CALLBACKS_MAX):
                    break  # more is ready, after other runs had their turn
                if self.is_over:
                    if not self._unwind():
                        self._turn_planned = False
                        return
                elif self._turn_tasks:
                    self._turn_tasks.popleft()()
                else:
                    self._turn_planned = False
                    return
        except BaseException:
            self._turn_planned = False
            raise
        self.crossing.loop.call_soon(self._take_turn)

    def _unwind(self) -> bool:
        """Whether code is left that has to be unwound."""
        for settlement in list(self.settlements):
            settlement.unwind()
        left = self.loop.open_tasks()
        if not left:
            return False
        self._unwindings += 1
        if self._unwindings > limits.UNWINDINGS_MAX:
            self.host.log("error", f"the code of run {self.run_id} catches its unwinding: it is left alone", {})
            for task in left:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            return False
        if self._unwindings > 1:
            for task in left:
                task.cancel()
        return True

    def _report(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if self.is_over or isinstance(error, Unwound):
            return
        fields = {"run_id": self.run_id, "error": repr(error)}
        self.host.log("warning", f"in a branch that nobody awaits: {context.get('message')}", fields)

    # Life

    def add_journal(self, entries: Iterable[JournalEntry], continues: bool) -> None:
        if self.is_over or self._started:
            return
        self.journal.add(entries)
        if not continues:
            self._start()

    def _start(self) -> None:
        self._started = True
        assignment = self.assignment
        if assignment.cancel_requested:
            self._cancel_to_come = CancelledError(self.run_id)
        if self.journal.exhausted:
            self.replayed()
        for signal in assignment.open_signals:
            self.waits.signal_came(signal.name)
        self._suspension.go_on()
        try:
            input = self.decode(assignment.input if assignment.HasField("input") else None)
        except Exception as error:
            self.fail(error)
            return
        self.loop.create_task(self._execute(input), name=f"everstep run {self.run_id}")
        if self._cancel_to_come is not None:
            self.plan_idle_check()

    async def _execute(self, input: Any) -> None:
        try:
            output = await self._body(self, input)
        except Unwound:
            return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            failed = error
            self.when_live(lambda: self.fail(failed))
        else:
            self.when_live(lambda: self._complete(output))

    def decode(self, payload: Payload | None) -> Any:
        return decode_payload(self.host.codec, payload)

    def encode(self, value: Any, what: Callable[[], str]) -> tuple[Payload | None, int]:
        return encode_within(self.host.codec, value, what, self.host.payload_bytes_max)

    def submit(self, changes: Sequence[Change], size: int, handlers: OpHandlers) -> None:
        if not self._finishing and not self.is_over:
            self._send(changes, size, handlers)

    def _send(self, changes: Sequence[Change], size: int, handlers: OpHandlers) -> None:
        self.crossing.to_session(self.channel.pipe.submit, changes, size, self._guarded(handlers))

    def _guarded(self, handlers: OpHandlers) -> OpHandlers:
        """Results that come after the run has ended here reach nobody; each other one may leave the run idle."""

        def guard(call: Callable[..., None]) -> Callable[..., None]:
            def guarded(*args: Any) -> None:
                if self.is_over:
                    return
                call(*args)
                if len(self.waits) > 0 or self._giving_back:
                    self.plan_idle_check()

            return guarded

        return replace(
            handlers,
            refused=guard(handlers.refused),
            applied=handlers.applied and guard(handlers.applied),
            preceding_failed=handlers.preceding_failed and guard(handlers.preceding_failed),
        )

    def when_live(self, action: Callable[[], None]) -> None:
        """Runs now, or when it is known whether a suspension that is on its way was accepted."""
        if not self.is_over:
            self._suspension.when_live(action)

    def replayed(self) -> None:
        """Called when recorded results were handed over; after the last one an earlier cancel becomes visible."""
        if self._cancel_to_come is not None and self.journal.exhausted:
            self.apply_cancel(self._cancel_to_come)

    def notice(self, notice: Notice) -> None:
        if self.is_over:
            return
        self.notices_seen = notice.seq
        self._suspension.noticed()

        def apply() -> None:
            react(self, notice)
            self.plan_idle_check()

        self.when_live(apply)

    def apply_cancel(self, cancel: CancelledError) -> None:
        """From now on waits end early, and steps that run are told to stop."""
        if self.cancel is not None or self._finishing:
            return
        self.cancel = cancel
        self._cancel_to_come = None
        for attempt in list(self.attempts):
            if not attempt.step.called_after_cancel:
                attempt.abort(cancel)
        self.waits.cancel_all(cancel)

    def may_start_step(self) -> bool:
        if self._giving_back:
            self.plan_idle_check()
        return not self._giving_back and not self.is_over and not self._finishing

    def give_back(self) -> None:
        """No new step; when none runs any more the lease goes back to its line."""
        self._giving_back = True
        self.plan_idle_check()

    def plan_idle_check(self) -> None:
        """Looks whether the run has nothing left to do here, when the workflow has gone as far as it can."""
        if not self._idle_planned and not self.is_over:
            self._idle_planned = True
            self.at_turn(self._check_idle)

    def _check_idle(self) -> None:
        self._idle_planned = False
        if self.is_over or self._finishing or not self._started:
            return
        if self.journal.replaying:
            self.plan_idle_check()
        elif self._cancel_to_come is not None:
            # The code took another way than the history: what it did not ask for will not be handed over any more.
            self.apply_cancel(self._cancel_to_come)
            self.plan_idle_check()
        elif self.attempts or self.outcomes_pending > 0:
            return
        elif self._giving_back:
            self.release(0)
        elif self.cancel is None and not self._suspension.blocked and self.waits.all_long():
            self._suspension.begin()

    # Ends

    def _complete(self, output: Any) -> None:
        if self.is_over or self._finishing:
            return
        try:
            payload, size = self.encode(output, lambda: f"the output of run {self.run_id}")
        except Exception as error:
            self.fail(error)
            return
        self._finish([frames.complete_run(payload)], size)

    def fail(self, error: BaseException) -> None:
        """Ends the run with what the workflow raised."""
        if self.is_over or self._finishing:
            return
        if self.cancel is not None and carries_cancel(error):
            self._finish([frames.cancelled_run()], 0)
            return
        failure = to_failure(error)
        steps = [key for key in failed_steps(error) if key in self.failed_steps]
        self._finish([frames.fail_run(failure, steps[: limits.FAILED_STEPS_MAX])], failure.ByteSize())

    def _finish(self, changes: Sequence[Change], size: int) -> None:
        self._finishing = True

        def applied(_: OpApplied) -> None:
            self.end()

        def refused(refusal: OpRefusal) -> None:
            self._finishing = False
            if refusal.reason == reasons.ERROR_REASON_PAYLOAD_TOO_LARGE:
                self.fail(PayloadTooLargeError(refusal.message))
            else:
                self.abandon(f"end was refused: {refusal.message}")

        self._send(changes, size, OpHandlers(applied=applied, refused=refused, ends_lease=True))

    def mismatched(self, error: NonDeterminismError) -> None:
        """The code asks for something else than the history holds: no except block may go on from here."""
        self.when_live(lambda: self.fail(error))

    def suspend(self, changes: Sequence[Change], handlers: OpHandlers) -> None:
        self._send(changes, 0, handlers)

    def abandon(self, why: str) -> None:
        """Something that only a bug or a lost message explains: a replay sorts it out."""
        if not self.is_over:
            self.crossing.to_session(self.channel.abandon, why)
            self.lost(why)

    def release(self, retry_after_ms: int) -> None:
        if not self.is_over:
            self.crossing.to_session(self.channel.release, retry_after_ms)
            self.end()

    def warn(self, why: str) -> None:
        """From the session's thread, ahead of ``lost``: functions in threads see it even while the loop is blocked."""
        for attempt in list(self.attempts):
            attempt.warn(LeaseLostError(self.run_id, why))

    def lost(self, why: str) -> None:
        """The lease is gone: handlers stop, nothing more is sent."""
        self._end(LeaseLostError(self.run_id, why))

    def end(self) -> None:
        """The lease ended as it should."""
        self._end(LeaseLostError(self.run_id, "it has ended"))

    def _end(self, reason: LeaseLostError) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.waits.drop()
        self._suspension.drop()
        self._turn_tasks.clear()
        for attempt in list(self.attempts):
            attempt.drop()
            attempt.abort(reason)
        self.attempts.clear()
        self.host.ended(self)
        self.wake()
