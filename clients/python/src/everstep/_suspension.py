"""Giving up the lease to wait.

While a suspend is on its way nobody knows whether the run goes on here, so whatever would make it go on (a notice, a
due retry, a call of the code) is kept until the answer is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import _frames as frames
from . import _limits as limits
from ._gen import error_reason_pb2 as reasons
from ._gen.change_pb2 import OpApplied, OpRefusal
from ._op_pipe import OpHandlers
from ._ports import TimerHandle

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


class Suspension:
    def __init__(self, run: LeaseRun) -> None:
        self._run = run
        # Also before the start, while parts of the journal are still to come.
        self._undecided = True
        self._later: list[Callable[[], None]] = []
        self._awaiting_notice: TimerHandle | None = None

    @property
    def blocked(self) -> bool:
        """True while it makes no sense to try: the answer is on its way, or the notice that it announced."""
        return self._undecided or self._awaiting_notice is not None

    def when_live(self, action: Callable[[], None]) -> None:
        if self._undecided:
            self._later.append(action)
        else:
            action()

    def go_on(self) -> None:
        self._undecided = False
        waiting, self._later = self._later, []
        for action in waiting:
            self._run.when_live(action)

    def noticed(self) -> None:
        if self._awaiting_notice is not None:
            self._awaiting_notice.cancel()
            self._awaiting_notice = None

    def begin(self) -> None:
        run = self._run
        self._undecided = True

        def applied(_: OpApplied) -> None:
            run.end()

        def preceding_failed() -> None:
            self.go_on()
            run.plan_idle_check()

        handlers = OpHandlers(
            applied=applied, preceding_failed=preceding_failed, refused=self._refused, ends_lease=True
        )
        run.suspend([frames.suspend_run(run.waits.awaits(), run.notices_seen)], handlers)

    def _refused(self, refusal: OpRefusal) -> None:
        run = self._run
        noticed = len(self._later) > 0
        self.go_on()
        if refusal.reason == reasons.ERROR_REASON_NOTICES_PENDING:
            if not noticed:
                overdue_ms = max(limits.NOTICES_OVERDUE_MS, refusal.retry_after_ms)
                self._awaiting_notice = run.clock.set_timer(overdue_ms, self._overdue)
        elif refusal.reason == reasons.ERROR_REASON_RUN_PAUSED:
            run.give_back()
        else:
            run.abandon(f"suspend was refused: {refusal.message}")

    def _overdue(self) -> None:
        self._awaiting_notice = None
        self._run.abandon("a suspend was refused NOTICES_PENDING and no notice came")

    def drop(self) -> None:
        self.noticed()
        self._later = []
