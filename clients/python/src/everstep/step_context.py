"""What workflow code sees of its run.

Each call claims its step key, looks into the journal, and either hands over what is recorded or makes it happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from ._journal import kind_of
from ._keys import check_key
from ._settlement import Settlement
from ._step_call import StepCall
from .durations import Duration, milliseconds_of
from .errors import InvalidArgumentError, NonDeterminismError, Unwound
from .failure import step_failed
from .retry_options import RetryOptions

if TYPE_CHECKING:
    from ._gen.worker_service_pb2 import JournalEntry
    from ._lease_run import LeaseRun

T = TypeVar("T")
Args = TypeVarTuple("Args")


class WorkflowContext:
    """The durable calls of a workflow and the facts about its run."""

    def __init__(self, run: LeaseRun) -> None:
        self._run = run

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def workflow(self) -> str:
        return self._run.assignment.workflow

    @property
    def namespace(self) -> str:
        return self._run.assignment.namespace

    @property
    def queue(self) -> str:
        return self._run.assignment.queue

    @property
    def run_key(self) -> str:
        """Empty if the run has none."""
        return self._run.assignment.run_key

    @property
    def fencing_token(self) -> int:
        """Grows with every lease of the run: hand it to systems that can refuse the writes of an older holder."""
        return self._run.fencing_token

    @property
    def step_keys(self) -> list[str]:
        """The step keys that were used so far."""
        return self._run.keys.list()

    @property
    def cancelled(self) -> bool:
        """True once a cancel was requested."""
        return self._run.cancel is not None

    def raise_if_cancelled(self) -> None:
        """For a check between steps: raises CancelledError once a cancel was requested."""
        if self._run.cancel is not None:
            raise self._run.cancel

    @overload
    async def step(
        self,
        key: str,
        function: Callable[[*Args], Awaitable[T]],
        *args: *Args,
        retry: RetryOptions | None = None,
        timeout: Duration | None = None,
        at_most_once: bool = False,
        input: Any = None,
    ) -> T: ...

    @overload
    async def step(
        self,
        key: str,
        function: Callable[[*Args], T],
        *args: *Args,
        retry: RetryOptions | None = None,
        timeout: Duration | None = None,
        at_most_once: bool = False,
        input: Any = None,
    ) -> T: ...

    async def step(  # type: ignore[misc]
        self,
        key: str,
        function: Callable[..., Any],
        *args: Any,
        retry: RetryOptions | None = None,
        timeout: Duration | None = None,
        at_most_once: bool = False,
        input: Any = None,
    ) -> Any:
        """Calls ``function(*args)`` until it has a result and records it: after a crash it is not called again.

        An async function runs as a task of the loop that the worker was started on, a plain one in a thread.
        ``current_attempt()`` tells it about itself. Raises StepFailedError when the attempts are exhausted. Steps may
        be called after a cancel, to clean up.

        :param retry: when a failed attempt is tried again; default: 4 attempts, exponential from 1 s to 60 s.
        :param timeout: bound for each attempt; a longer one is cancelled and fails with type "StepTimeout".
        :param at_most_once: never run it twice on a guess: if the worker is lost inside, the run is paused and a
            person decides.
        :param input: recorded with the start of the step, for people who read the history.
        """

        def begin(step_key: str, settlement: Settlement) -> None:
            if not callable(function):
                raise InvalidArgumentError(f"step {step_key} needs a function, not {function!r}")
            timeout_ms = None if timeout is None else milliseconds_of("timeout", timeout)
            run = self._run
            call = StepCall(
                run,
                step_key,
                function,
                args,
                settlement,
                retry=retry,
                timeout_ms=timeout_ms,
                at_most_once=at_most_once,
                input=input,
            )
            recorded = run.journal.find(step_key)
            if recorded is None:
                run.when_live(lambda: call.begin(1))
                return
            match recorded.WhichOneof("entry"):
                case "completed":
                    completed = recorded.completed
                    output = completed.output if completed.HasField("output") else None
                    self._replay(step_key, settlement, lambda: run.decode(output))
                case "failed":
                    failed = recorded.failed

                    def fail() -> Any:
                        run.failed_steps.add(step_key)
                        raise step_failed(step_key, failed.attempt, failed.failure)

                    self._replay(step_key, settlement, fail)
                case "retrying":
                    # Read when it is live: a notice that came meanwhile may have made it due.
                    retrying = recorded.retrying
                    run.when_live(lambda: call.go_on(retrying.attempt + 1, retrying.delay_ms))
                case "started":
                    attempt = recorded.started.attempt
                    run.when_live(lambda: call.go_on(attempt, None))
                case _:
                    self._mismatch(step_key, "step", recorded)

        return await self._call(key, begin)

    async def sleep(self, key: str, duration: Duration) -> None:
        """Waits durably; a long sleep occupies no worker. Raises CancelledError when the run is cancelled."""

        def begin(step_key: str, settlement: Settlement) -> None:
            delay_ms = milliseconds_of("a sleep", duration)
            run = self._run
            recorded = run.journal.find(step_key)
            if recorded is None:
                run.when_live(lambda: run.waits.sleep(step_key, delay_ms, settlement, pending=False))
            elif kind_of(recorded) != "sleep":
                self._mismatch(step_key, "sleep", recorded)
            elif recorded.WhichOneof("entry") == "timer_fired":
                self._replay(step_key, settlement, lambda: None)
            elif recorded.WhichOneof("entry") == "timer":
                left_ms = recorded.timer.delay_ms
                run.when_live(lambda: run.waits.sleep(step_key, left_ms, settlement, pending=True))
            else:
                settlement.resolve(None)  # its timer was cancelled from outside

        await self._call(key, begin)

    async def signal(self, name: str, *, timeout: Duration | None = None, key: str | None = None) -> Any:
        """Takes the oldest signal of this name, or waits for it. None on timeout.

        :param timeout: gives up after this time; default: waits for ever.
        :param key: step key of the wait; default: the signal's name.
        """

        def begin(step_key: str, settlement: Settlement) -> None:
            if not isinstance(name, str) or name == "":
                raise InvalidArgumentError(f"a signal needs a name, not {name!r}")
            timeout_ms = None if timeout is None else milliseconds_of("timeout", timeout)
            run = self._run
            recorded = run.journal.find(step_key)
            if recorded is None:
                run.when_live(lambda: run.waits.signal(step_key, name, timeout_ms, settlement))
                return
            if kind_of(recorded) != "wait for a signal":
                self._mismatch(step_key, "wait for a signal", recorded)
                return
            match recorded.WhichOneof("entry"):
                case "signal":
                    signal = recorded.signal
                    payload = signal.payload if signal.HasField("payload") else None
                    self._replay(step_key, settlement, lambda: run.decode(payload))
                case "timer_fired":
                    self._replay(step_key, settlement, lambda: None)
                case "timer":
                    left_ms = recorded.timer.delay_ms
                    run.when_live(lambda: run.waits.signal(step_key, name, left_ms, settlement, pending=True))
                case _:
                    settlement.resolve(None)  # its timer was cancelled from outside

        return await self._call(name if key is None else key, begin)

    async def _call(self, key: str, begin: Callable[[str, Settlement], None]) -> Any:
        run = self._run
        if run.is_over:
            raise Unwound("the run goes on elsewhere or later")
        if asyncio.get_running_loop() is not run.loop:
            raise InvalidArgumentError(
                f"{key!r}: durable calls belong into the workflow's own code; this one came from a step or another loop"
            )
        check_key("step key", key)
        step_key = run.keys.claim(key)
        settlement = Settlement(run, key)
        try:
            begin(step_key, settlement)
        except Exception as error:
            settlement.reject(error)
        try:
            return await settlement.future
        except asyncio.CancelledError:
            run.waits.forget(step_key)
            raise

    def _replay(self, step_key: str, settlement: Settlement, read: Callable[[], Any]) -> None:
        run = self._run

        def hand() -> None:
            if run.is_over:
                return
            try:
                settlement.resolve(read())
            except Exception as error:
                settlement.reject(error)
            run.replayed()

        run.journal.deliver(step_key, hand)

    def _mismatch(self, step_key: str, asked: str, recorded: JournalEntry) -> None:
        self._run.mismatched(NonDeterminismError(step_key, asked, kind_of(recorded)))
