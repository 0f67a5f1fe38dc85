"""One attempt of a step: calls the function, bounds it in time, and hands its outcome to the step exactly once."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from .errors import EverstepError, StepTimeoutError

if TYPE_CHECKING:
    from ._ports import TimerHandle
    from ._step_call import StepCall

_current: contextvars.ContextVar[StepAttempt] = contextvars.ContextVar("everstep_attempt")


def current_attempt() -> StepAttempt:
    """The attempt that the calling step function belongs to. Works in async functions and in threads."""
    try:
        return _current.get()
    except LookupError:
        raise EverstepError("NO_ATTEMPT", "current_attempt() is for functions that run as a step") from None


class StepAttempt:
    """What a step function may want to know about its attempt. Safe to use from any thread."""

    def __init__(self, run_id: str, step_key: str, attempt: int, fencing_token: int) -> None:
        self.run_id = run_id
        self.step_key = step_key
        self.attempt = attempt
        """From 1."""
        self.fencing_token = fencing_token
        """Grows with every lease of the run: hand it to systems that can refuse the writes of an older holder."""
        self._reason: EverstepError | None = None
        self._stopped: threading.Event | None = None
        self._lock = threading.Lock()

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts and all workers: the key for idempotent calls."""
        return f"{self.run_id}/{self.step_key}"

    @property
    def cancelled(self) -> bool:
        """True after timeout, cancel or loss of the lease. A step that is called after the cancel does not see it."""
        return self._reason is not None

    @property
    def cancel_reason(self) -> EverstepError | None:
        """CancelledError, StepTimeoutError or LeaseLostError."""
        return self._reason

    def raise_if_cancelled(self) -> None:
        """For functions in threads, which nobody can interrupt: call it where stopping is safe."""
        if self._reason is not None:
            raise self._reason

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Blocks a thread until the attempt is to stop, at most ``timeout`` seconds; True when it is."""
        with self._lock:
            if self._reason is not None:
                return True
            if self._stopped is None:
                self._stopped = threading.Event()
        return self._stopped.wait(timeout)

    def _stop(self, reason: EverstepError) -> None:
        with self._lock:
            if self._reason is None:
                self._reason = reason
            if self._stopped is not None:
                self._stopped.set()


class RunningAttempt:
    def __init__(self, step: StepCall, attempt: int) -> None:
        self.step = step
        self.attempt = attempt
        self.running = True
        self.start_sent = False
        """Whether a start of it went out: its outcome has a place in the history then."""
        self.info = StepAttempt(step.run.run_id, step.step_key, attempt, step.run.fencing_token)
        self._started_at_ms = step.run.clock.now_ms()
        self._timeout: TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._aborted = False
        step.run.attempts.add(self)

    def elapsed_ms(self) -> int:
        return max(0, round(self.step.run.clock.now_ms() - self._started_at_ms))

    def call(self) -> None:
        """The start is durable, or need not be: the function runs now."""
        step = self.step
        run = step.run
        self._started_at_ms = run.clock.now_ms()
        if step.timeout_ms is not None:
            timeout_ms = step.timeout_ms
            self._timeout = run.clock.set_timer(timeout_ms, lambda: self._timed_out(timeout_ms))
        context = contextvars.copy_context()
        context.run(_current.set, self.info)
        if not step.at_most_once and step.input is None:
            run.crossing.announce(self)
        if _is_async(step.function):
            try:
                self._await(context.run(step.function, *step.args), context)
            except Exception as error:  # called with the wrong arguments
                self._raised(error)
        else:
            run.host.threads.call(
                context, step.function, step.args, lambda value, error: self._returned(value, error, context)
            )

    def _returned(self, value: Any, error: BaseException | None, context: contextvars.Context) -> None:
        """A plain function is done. It may have made something to await, as a lambda around an async call does."""
        if error is not None:
            self._raised(error)
            return
        try:
            pending = inspect.isawaitable(value)
        except Exception as unreadable:  # it asks the value for its class, which a proxy may answer by raising
            self._raised(unreadable)
            return
        if pending:
            self._await(value, context)
        else:
            self._succeeded(value)

    def _await(self, awaitable: Awaitable[Any], context: contextvars.Context) -> None:
        self._task = self.step.run.crossing.loop.create_task(self._finish(awaitable), context=context)
        self._task.add_done_callback(lambda task: self._never_began(awaitable) if task.cancelled() else None)
        if self._aborted:
            self._task.cancel()

    def _never_began(self, awaitable: Awaitable[Any]) -> None:
        """Cancelled in the turn that made it: nobody awaits the coroutine, and nobody else would say how it ended."""
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        if self._aborted:
            self._raised(asyncio.CancelledError())

    async def _finish(self, awaitable: Awaitable[Any]) -> None:
        try:
            value = await awaitable
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if not self._aborted and task is not None and task.cancelling():
                return  # the whole loop is being stopped: that says nothing about the step
            self._raised(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._raised(error)
        else:
            self._succeeded(value)

    def materialise(self) -> None:
        """A turn later the attempt still runs: its start is worth a record."""
        if self.running and not self.step.run.is_over:
            self.step.submit_start(self)

    def abort(self, reason: EverstepError) -> None:
        """Tells the function to stop: an async one is cancelled, a plain one may look at its attempt."""
        self.info._stop(reason)
        self._aborted = True
        if self._task is not None:
            self._task.cancel()

    def warn(self, reason: EverstepError) -> None:
        """From another thread, ahead of ``abort``."""
        self.info._stop(reason)

    def stop(self) -> None:
        """Ends it without an outcome: its start was refused."""
        if self.running:
            self.running = False
            self.step.run.attempts.discard(self)
            self.drop()

    def drop(self) -> None:
        """The lease is gone or the run has ended: the function may still run, nobody listens any more."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _timed_out(self, timeout_ms: int) -> None:
        if self._ends():
            error = StepTimeoutError(self.step.step_key, timeout_ms)
            self.abort(error)
            self.step.failed(self, error)

    def _ends(self) -> bool:
        """False for an outcome that comes too late: after the timeout, or after the run has ended."""
        if not self.running or self.step.run.is_over:
            return False
        self.stop()
        return True

    def _succeeded(self, value: Any) -> None:
        if self._ends():
            self.step.succeeded(self, value)

    def _raised(self, error: BaseException) -> None:
        if self._ends():
            self.step.raised(self, error)


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
