"""What the branches of one run wait for: sleeps, signals, and the next attempt of a step.

All of them are durable, so when nothing else goes on the run can be suspended on them. The server decides when a timer
fires and who gets a signal; the local clock only decides whether it is worth holding the lease meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from . import _frames as frames
from . import _limits as limits
from ._gen import error_reason_pb2 as reasons
from ._gen.change_pb2 import OpApplied, OpRefusal
from ._gen.event_pb2 import Await
from ._op_pipe import OpHandlers
from ._ports import TimerHandle
from ._refusal import refuse_call
from ._settlement import Settlement
from .errors import CancelledError

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


class BackingOff(Protocol):
    """A step between two attempts."""

    @property
    def outlives_cancel(self) -> bool:
        """True for a step that was called after the cancel, to clean up: it is tried again all the same."""

    def due(self) -> None: ...

    def cancelled(self, error: CancelledError) -> None: ...


@dataclass
class _SleepWait:
    key: str
    settlement: Settlement
    due_at_ms: float


@dataclass
class _SignalWait:
    key: str
    settlement: Settlement
    name: str
    timeout_ms: int | None
    """Until its timer is set: at the first moment at which no signal is there."""
    due_at_ms: float = math.inf
    consuming: bool = False


@dataclass
class _RetryWait:
    key: str
    step: BackingOff
    due_at_ms: float
    timer: TimerHandle


class Waits:
    def __init__(self, run: LeaseRun) -> None:
        self._run = run
        # By step key, in order of the calls: the first waiter for a name gets the first signal.
        self._waits: dict[str, _SleepWait | _SignalWait | _RetryWait] = {}
        # Signals that are there and not asked for, by name.
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def sleep(self, key: str, delay_ms: int, settlement: Settlement, *, pending: bool) -> None:
        """``pending`` when the timer was set under an earlier lease."""
        run = self._run
        if run.cancel is not None:
            settlement.reject(run.cancel)
            return
        self._waits[key] = _SleepWait(key, settlement, run.clock.now_ms() + delay_ms)
        if not pending:
            self._set_timer(key, delay_ms, "")
        run.plan_idle_check()

    def signal(
        self, key: str, name: str, timeout_ms: int | None, settlement: Settlement, *, pending: bool = False
    ) -> None:
        run = self._run
        wait = _SignalWait(key, settlement, name, timeout_ms)
        if pending and timeout_ms is not None:
            wait.due_at_ms = run.clock.now_ms() + timeout_ms
            wait.timeout_ms = None
        self._waits[key] = wait
        self._match_signals(name)
        if not wait.consuming:
            if run.cancel is not None:
                self._end(wait)
                settlement.reject(run.cancel)
                return
            self._arm_timeout(wait)
        run.plan_idle_check()

    def back_off(self, key: str, delay_ms: int, step: BackingOff) -> None:
        run = self._run
        if run.cancel is not None and not step.outlives_cancel:
            step.cancelled(run.cancel)
            return
        if delay_ms <= 0:
            step.due()
            return
        timer = run.clock.set_timer(delay_ms, lambda: run.when_live(lambda: self.retry_due(key)))
        self._waits[key] = _RetryWait(key, step, run.clock.now_ms() + delay_ms, timer)
        run.plan_idle_check()

    def timer_fired(self, key: str) -> bool:
        """True when a wait took it."""
        wait = self._waits.get(key)
        if wait is None or isinstance(wait, _RetryWait):
            return False
        self._end(wait)
        wait.settlement.resolve(None)
        return True

    def retry_due(self, key: str) -> None:
        wait = self._waits.get(key)
        if isinstance(wait, _RetryWait):
            self._end(wait)
            wait.step.due()

    def signal_came(self, name: str) -> None:
        self._open[name] = self._open.get(name, 0) + 1
        self._match_signals(name)

    def forget(self, key: str) -> None:
        """The branch that waited was cancelled by the workflow's code: it takes no signal any more."""
        wait = self._waits.get(key)
        if isinstance(wait, _SleepWait) or (isinstance(wait, _SignalWait) and not wait.consuming):
            self._end(wait)
            wait.settlement.resolve(None)

    def cancel_all(self, error: CancelledError) -> None:
        """Cancel: every wait ends now."""
        for wait in list(self._waits.values()):
            if isinstance(wait, _RetryWait):
                if not wait.step.outlives_cancel:
                    self._end(wait)
                    wait.step.cancelled(error)
            elif not isinstance(wait, _SignalWait) or not wait.consuming:  # else the answer on its way is the truth
                self._end(wait)
                wait.settlement.reject(error)

    def all_long(self) -> bool:
        """Whether the run should give up its lease for these waits: none of them ends soon."""
        now_ms = self._run.clock.now_ms()
        names = self._signal_names()
        for wait in self._waits.values():
            if isinstance(wait, _SignalWait) and wait.consuming:
                return False
            held_ms_max = limits.RETRY_HELD_MS_MAX if isinstance(wait, _RetryWait) else limits.SLEEP_HELD_MS_MAX
            if wait.due_at_ms - now_ms <= held_ms_max:
                return False
        # With more names a suspend could not await all signals and a timer.
        return len(self._waits) > 0 and len(names) < limits.AWAITS_MAX

    def awaits(self) -> list[Await]:
        """No more than the server takes: every signal, and of what is due what is due first. What is left out is due
        later than something that wakes the run, and is awaited by the suspend after that."""
        awaits: list[Await] = []
        names = self._signal_names()
        due = self._first_due(limits.AWAITS_MAX - len(names))
        for wait in self._waits.values():
            if wait.key in due:
                retries = isinstance(wait, _RetryWait)
                awaits.append(Await(retry=wait.key) if retries else Await(timer=wait.key))
            if isinstance(wait, _SignalWait) and wait.name in names:
                names.remove(wait.name)  # its first waiter speaks for the others
                awaits.append(Await(signal=wait.name, step_key=wait.key))
        return awaits

    def _signal_names(self) -> set[str]:
        return {wait.name for wait in self._waits.values() if isinstance(wait, _SignalWait)}

    def _first_due(self, count: int) -> set[str]:
        """Keys of the waits that end by themselves, those first that end first."""
        timed = [wait for wait in self._waits.values() if wait.due_at_ms != math.inf]
        if len(timed) > count:
            timed.sort(key=lambda wait: wait.due_at_ms)
        return {wait.key for wait in timed[:count]}

    def drop(self) -> None:
        """The run is over here."""
        for wait in self._waits.values():
            if isinstance(wait, _RetryWait):
                wait.timer.cancel()
        self._waits.clear()
        self._open.clear()

    def _end(self, wait: _SleepWait | _SignalWait | _RetryWait) -> None:
        self._waits.pop(wait.key, None)
        if isinstance(wait, _RetryWait):
            wait.timer.cancel()

    def _set_timer(self, key: str, delay_ms: int, signal_name: str) -> None:
        def refused(refusal: OpRefusal) -> None:
            wait = self._waits.get(key)
            if wait is None or isinstance(wait, _RetryWait):
                return
            self._end(wait)
            asked = "wait for a signal" if signal_name else "sleep"
            refuse_call(self._run, refusal, wait.settlement, key, asked)

        self._run.submit([frames.set_timer(key, delay_ms, signal_name)], 0, OpHandlers(refused=refused, adds="timer"))

    def _arm_timeout(self, wait: _SignalWait) -> None:
        if wait.timeout_ms is None:
            return
        wait.due_at_ms = self._run.clock.now_ms() + wait.timeout_ms
        self._set_timer(wait.key, wait.timeout_ms, wait.name)
        wait.timeout_ms = None

    def _match_signals(self, name: str) -> None:
        open_signals = self._open.get(name, 0)
        for wait in list(self._waits.values()):
            if open_signals == 0:
                break
            if isinstance(wait, _SignalWait) and wait.name == name and not wait.consuming:
                open_signals -= 1
                self._consume(wait)
        if open_signals > 0:
            self._open[name] = open_signals
        else:
            self._open.pop(name, None)

    def _consume(self, wait: _SignalWait) -> None:
        run = self._run
        wait.consuming = True
        run.outcomes_pending += 1

        def applied(result: OpApplied) -> None:
            run.outcomes_pending -= 1
            if not result.results or result.results[0].WhichOneof("outcome") != "signal":
                run.abandon(f"the signal for {wait.key} came without its content")
                return
            if self._waits.get(wait.key) is not wait:
                return
            self._end(wait)
            signal = result.results[0].signal
            try:
                wait.settlement.resolve(run.decode(signal.payload if signal.HasField("payload") else None))
            except Exception as error:
                wait.settlement.reject(error)

        def refused(refusal: OpRefusal) -> None:
            run.outcomes_pending -= 1
            self._not_consumed(wait, refusal)

        change = frames.consume_signal(wait.key, wait.name)
        run.submit([change], 0, OpHandlers(applied=applied, refused=refused, adds="signal"))

    def _not_consumed(self, wait: _SignalWait, refusal: OpRefusal) -> None:
        run = self._run
        wait.consuming = False
        waiting = self._waits.get(wait.key) is wait
        if refusal.reason == reasons.ERROR_REASON_WAIT_TIMED_OUT:
            self._open[wait.name] = self._open.get(wait.name, 0) + 1  # it stays open for the next waiter
            if waiting:
                self._end(wait)
                wait.settlement.resolve(None)
            self._match_signals(wait.name)
            return
        if not waiting:
            return
        if refusal.reason != reasons.ERROR_REASON_NO_SIGNAL:
            self._end(wait)
            refuse_call(run, refusal, wait.settlement, wait.key, "wait for a signal")
            return
        # The count was wrong; the notice of the next signal is to come.
        if run.cancel is not None:
            self._end(wait)
            wait.settlement.reject(run.cancel)
            return
        self._arm_timeout(wait)
        self._match_signals(wait.name)
        run.plan_idle_check()
