"""A run as data, payloads decoded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ._enum_name import enum_name
from ._gen.run_pb2 import PauseReason, Run, RunStatus
from .codec import PayloadCodec, decode_payload
from .errors import FailureInfo, InvalidArgumentError
from .failure import to_failure_info

RunStatusName = Literal["QUEUED", "RUNNING", "WAITING", "PAUSED", "COMPLETED", "FAILED", "CANCELLED", "TERMINATED"]
"""The state of a run; the last four are final."""

_FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TERMINATED"})


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    namespace: str
    run_id: str
    workflow: str
    queue: str
    run_key: str
    status: RunStatusName
    pause_reason: str | None
    """Set while PAUSED."""
    cancel_requested: bool
    input: Any
    output: Any
    failure: FailureInfo | None
    priority: int
    version: int
    steps_completed: int
    last_seq: int
    epoch: int
    worker_id: str
    """Who holds the lease; empty if nobody does."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    closed_at: datetime | None

    @property
    def is_ended(self) -> bool:
        return self.status in _FINAL


def to_run_info(run: Run, codec: PayloadCodec) -> RunInfo:
    status: Any = enum_name(RunStatus, "RUN_STATUS_", run.status)
    return RunInfo(
        namespace=run.namespace,
        run_id=run.run_id,
        workflow=run.workflow,
        queue=run.queue,
        run_key=run.run_key,
        status=status,
        pause_reason=enum_name(PauseReason, "PAUSE_REASON_", run.pause_reason) if run.pause_reason else None,
        cancel_requested=run.cancel_requested,
        input=decode_payload(codec, run.input if run.HasField("input") else None),
        output=decode_payload(codec, run.output if run.HasField("output") else None),
        failure=to_failure_info(run.failure) if run.HasField("failure") else None,
        priority=run.priority,
        version=run.version,
        steps_completed=run.steps_completed,
        last_seq=run.last_seq,
        epoch=run.epoch,
        worker_id=run.worker_id,
        created_at=_instant(run.created_at_ms),
        updated_at=_instant(run.updated_at_ms),
        started_at=_instant(run.started_at_ms) if run.started_at_ms else None,
        closed_at=_instant(run.closed_at_ms) if run.closed_at_ms else None,
    )


def status_number(name: str) -> int:
    try:
        return RunStatus.Value(f"RUN_STATUS_{name}")
    except ValueError:
        raise InvalidArgumentError(f"{name!r} is no status of a run") from None


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
