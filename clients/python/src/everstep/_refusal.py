"""A durable call was refused for good. What only the code or the limits of the run explain ends the run; the rest goes
to the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._enum_name import enum_name
from ._gen import error_reason_pb2 as reasons
from ._gen.change_pb2 import OpRefusal
from ._settlement import Settlement
from .errors import HistoryLimitError, NonDeterminismError, OpRefusedError, PayloadTooLargeError

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


def refuse_call(run: LeaseRun, refusal: OpRefusal, settlement: Settlement, key: str, asked: str) -> None:
    match refusal.reason:
        case reasons.ERROR_REASON_RUN_PAUSED:
            run.give_back()
        case reasons.ERROR_REASON_HISTORY_LIMIT:
            run.fail(HistoryLimitError(refusal.message))
        case reasons.ERROR_REASON_STEP_KIND_MISMATCH:
            run.fail(NonDeterminismError(key, asked, "something else"))
        case reasons.ERROR_REASON_PAYLOAD_TOO_LARGE:
            settlement.reject(PayloadTooLargeError(refusal.message))
        case reason:
            name = enum_name(reasons.ErrorReason, "ERROR_REASON_", reason)
            settlement.reject(OpRefusedError(name, refusal.message, refusal.field))
