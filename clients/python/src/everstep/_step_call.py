"""One use of ctx.step: its attempts until it has a durable result.

An attempt runs (it is in run.attempts), then its outcome waits to be durable (run.outcomes_pending), then either the
workflow gets it or the step backs off (a wait) and the next attempt runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _frames as frames
from . import _limits as limits
from ._gen import error_reason_pb2 as reasons
from ._gen.change_pb2 import Change, OpApplied, OpRefusal
from ._gen.failure_pb2 import Failure
from ._gen.payload_pb2 import Payload
from ._op_pipe import Adds, OpHandlers
from ._refusal import refuse_call
from ._settlement import Settlement
from .errors import CancelledError, PayloadTooLargeError
from .failure import carries_cancel, step_failed, to_failure
from .retry_options import RetryOptions, to_retry_policy
from .step_attempt import RunningAttempt

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


class StepCall:
    def __init__(
        self,
        run: LeaseRun,
        step_key: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        settlement: Settlement,
        *,
        retry: RetryOptions | None,
        timeout_ms: int | None,
        at_most_once: bool,
        input: Any,
    ) -> None:
        self.run = run
        self.step_key = step_key
        self.function = function
        self.args = args
        self.policy = to_retry_policy(retry, at_most_once)
        self.timeout_ms = timeout_ms
        self.at_most_once = at_most_once
        self.input = input
        self.called_after_cancel = run.cancel is not None
        """Called to clean up: the cancel neither stops it nor ends its retries."""
        self._settlement = settlement
        self._next_attempt = 1

    def go_on(self, attempt: int, delay_ms: int | None) -> None:
        """An earlier lease had begun it, so it is no cleanup. Without a delay the attempt itself had begun."""
        self.called_after_cancel = False
        if delay_ms is None:
            self.begin(attempt)
        else:
            self.back_off(attempt, delay_ms)

    def begin(self, attempt_number: int) -> None:
        if not self.run.may_start_step():
            return  # paused or draining: the lease is given back, a replay comes here again
        attempt = RunningAttempt(self, attempt_number)
        if self.at_most_once:
            self._submit_start(attempt, lambda _: self._enter(attempt))
            return
        if self.input is not None:
            self._submit_start(attempt, None)
        if attempt.running:
            attempt.call()

    def _enter(self, attempt: RunningAttempt) -> None:
        # The answer may have waited for the user's loop until the session knew that the lease is gone.
        if not self.run.channel.is_over:
            attempt.call()

    def submit_start(self, attempt: RunningAttempt) -> None:
        """Announces an attempt that runs already."""
        self._submit_start(attempt, None)

    def _submit_start(self, attempt: RunningAttempt, applied: Callable[[OpApplied], None] | None) -> None:
        try:
            change, size = self._start_change(attempt.attempt)
        except Exception as error:
            attempt.stop()
            self.failed(attempt, error)
            return

        def refused(refusal: OpRefusal) -> None:
            called = applied is None
            if called and refusal.reason == reasons.ERROR_REASON_RUN_PAUSED:
                # The pause lets a function that runs finish, and its result needs no start before it.
                self.run.give_back()
                return
            if not attempt.running:
                return  # its outcome went out behind the start and is answered for itself
            attempt.stop()
            self._refused(refusal)

        attempt.start_sent = True
        self.run.submit([change], size, OpHandlers(applied=applied, refused=refused, adds="start"))

    def _start_change(self, attempt: int) -> tuple[Change, int]:
        payload: Payload | None = None
        size = 0
        if self.input is not None:
            payload, size = self.run.encode(self.input, lambda: f"the input of step {self.step_key}")
        timed = self.timeout_ms is not None
        change = frames.start_step(
            self.step_key,
            attempt,
            at_most_once=self.at_most_once,
            timeout_ms=self.timeout_ms + limits.SERVER_TIMEOUT_SLACK_MS if self.timeout_ms is not None else 0,
            retry_policy=self.policy if timed else None,
            input=payload,
        )
        return change, size

    def succeeded(self, attempt: RunningAttempt, value: Any) -> None:
        run = self.run
        try:
            payload, size = run.encode(value, lambda: f"the result of step {self.step_key}")
        except Exception as error:
            self.failed(attempt, error)
            return
        run.outcomes_pending += 1

        def applied(result: OpApplied) -> None:
            run.outcomes_pending -= 1
            stored = _outcome(result, "stored_output")
            self._deliver(stored if stored is not None else payload)

        def refused(refusal: OpRefusal) -> None:
            run.outcomes_pending -= 1
            if refusal.reason == reasons.ERROR_REASON_PAYLOAD_TOO_LARGE:
                self.failed(attempt, PayloadTooLargeError(refusal.message))
            else:
                self._refused(refusal)

        change = frames.complete_step(self.step_key, attempt.attempt, payload, attempt.elapsed_ms())
        run.submit([change], size, OpHandlers(applied=applied, refused=refused, adds=_adds_with(attempt)))

    def _deliver(self, output: Payload | None) -> None:
        """The workflow gets what a replay would give it, never the original object."""
        try:
            value = self.run.decode(output)
        except Exception as error:
            self._settlement.reject(error)
            return
        self._settlement.resolve(value)

    def raised(self, attempt: RunningAttempt, error: BaseException) -> None:
        cancel = self.run.cancel
        stopped = isinstance(error, asyncio.CancelledError) or carries_cancel(error)
        if cancel is not None and stopped and not self.called_after_cancel and not self.at_most_once:
            self._settlement.reject(cancel)  # it stopped because it was asked to: that is no failed attempt
            self.run.plan_idle_check()
            return
        self.failed(attempt, error)

    def failed(self, attempt: RunningAttempt, error: BaseException) -> None:
        run = self.run
        failure = to_failure(error)
        run.outcomes_pending += 1

        def applied(result: OpApplied) -> None:
            run.outcomes_pending -= 1
            self._after_failure(result, failure)

        def refused(refusal: OpRefusal) -> None:
            run.outcomes_pending -= 1
            self._refused(refusal)

        change = frames.fail_step(self.step_key, attempt.attempt, failure, self.policy, attempt.elapsed_ms())
        handlers = OpHandlers(applied=applied, refused=refused, adds=_adds_with(attempt))
        run.submit([change], failure.ByteSize(), handlers)

    def _after_failure(self, result: OpApplied, failure: Failure) -> None:
        retry = _outcome(result, "retry")
        exhausted = _outcome(result, "exhausted")
        stored = _outcome(result, "stored_output")
        if retry is not None:
            self.back_off(retry.next_attempt, retry.delay_ms)
        elif exhausted is not None:
            self.run.failed_steps.add(self.step_key)
            self._settlement.reject(step_failed(self.step_key, exhausted.attempt, failure))
        elif stored is not None:
            self._deliver(stored)
        else:
            self.run.abandon(f"the failure of step {self.step_key} was answered without a verdict")

    def back_off(self, next_attempt: int, delay_ms: int) -> None:
        self._next_attempt = next_attempt
        self.run.waits.back_off(self.step_key, delay_ms, self)

    # BackingOff

    def due(self) -> None:
        self.begin(self._next_attempt)

    def cancelled(self, error: CancelledError) -> None:
        self._settlement.reject(error)

    @property
    def outlives_cancel(self) -> bool:
        return self.called_after_cancel

    def _refused(self, refusal: OpRefusal) -> None:
        match refusal.reason:
            case reasons.ERROR_REASON_STEP_COMPLETED:
                self.run.abandon(f"step {self.step_key} has another result already")
            case reasons.ERROR_REASON_STEP_FAILED:
                self.run.abandon(f"step {self.step_key} has failed already")
            case _:
                refuse_call(self.run, refusal, self._settlement, self.step_key, "step")


def _adds_with(attempt: RunningAttempt) -> Adds | None:
    """What its outcome adds: behind a start it has its place in the history already."""
    return None if attempt.start_sent else "result"


def _outcome(result: OpApplied, kind: str) -> Any:
    """What the first change has to say, if it is of this kind."""
    if result.results and result.results[0].WhichOneof("outcome") == kind:
        return getattr(result.results[0], kind)
    return None
