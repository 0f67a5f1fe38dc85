"""What a notice does to a run: it settles the wait that it is for, or is remembered for the wait that will come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._gen.worker_service_pb2 import JournalEntry, JournalTimerFired, Notice
from .errors import CancelledError

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


def react(run: LeaseRun, notice: Notice) -> None:
    match notice.WhichOneof("what"):
        case "cancel":
            run.apply_cancel(CancelledError(run.run_id, notice.cancel.reason))
        case "signal":
            run.waits.signal_came(notice.signal.name)
        case "timer_fired":
            _timer_fired(run, notice.timer_fired)
        case "retry_due":
            known = run.journal.find(notice.retry_due)
            if known is not None and known.WhichOneof("entry") == "retrying":
                known.retrying.delay_ms = 0
            run.waits.retry_due(notice.retry_due)
        case "pause":
            run.give_back()
        case _:
            pass  # of a later version


def _timer_fired(run: LeaseRun, step_key: str) -> None:
    if run.waits.timer_fired(step_key):
        return
    known = run.journal.find(step_key)
    if known is not None and known.WhichOneof("entry") == "timer":
        fired = JournalTimerFired(signal_name=known.timer.signal_name)
        run.journal.record(JournalEntry(step_key=step_key, timer_fired=fired))
