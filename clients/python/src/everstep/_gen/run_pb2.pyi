from everstep._gen import failure_pb2 as _failure_pb2
from everstep._gen import payload_pb2 as _payload_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATUS_UNSPECIFIED: _ClassVar[RunStatus]
    RUN_STATUS_QUEUED: _ClassVar[RunStatus]
    RUN_STATUS_RUNNING: _ClassVar[RunStatus]
    RUN_STATUS_WAITING: _ClassVar[RunStatus]
    RUN_STATUS_PAUSED: _ClassVar[RunStatus]
    RUN_STATUS_COMPLETED: _ClassVar[RunStatus]
    RUN_STATUS_FAILED: _ClassVar[RunStatus]
    RUN_STATUS_CANCELLED: _ClassVar[RunStatus]
    RUN_STATUS_TERMINATED: _ClassVar[RunStatus]

class PauseReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAUSE_REASON_UNSPECIFIED: _ClassVar[PauseReason]
    PAUSE_REASON_REQUESTED: _ClassVar[PauseReason]
    PAUSE_REASON_DELIVERY_BUDGET: _ClassVar[PauseReason]
    PAUSE_REASON_UNCERTAIN_EFFECT: _ClassVar[PauseReason]
    PAUSE_REASON_CORRUPT_HISTORY: _ClassVar[PauseReason]
RUN_STATUS_UNSPECIFIED: RunStatus
RUN_STATUS_QUEUED: RunStatus
RUN_STATUS_RUNNING: RunStatus
RUN_STATUS_WAITING: RunStatus
RUN_STATUS_PAUSED: RunStatus
RUN_STATUS_COMPLETED: RunStatus
RUN_STATUS_FAILED: RunStatus
RUN_STATUS_CANCELLED: RunStatus
RUN_STATUS_TERMINATED: RunStatus
PAUSE_REASON_UNSPECIFIED: PauseReason
PAUSE_REASON_REQUESTED: PauseReason
PAUSE_REASON_DELIVERY_BUDGET: PauseReason
PAUSE_REASON_UNCERTAIN_EFFECT: PauseReason
PAUSE_REASON_CORRUPT_HISTORY: PauseReason

class Run(_message.Message):
    __slots__ = ("namespace", "run_id", "workflow", "queue", "run_key", "status", "pause_reason", "cancel_requested", "input", "output", "failure", "priority", "version", "steps_completed", "last_seq", "epoch", "worker_id", "created_at_ms", "updated_at_ms", "started_at_ms", "closed_at_ms", "available_at_ms", "timeout_at_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    RUN_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_REASON_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STEPS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_AT_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_AT_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    workflow: str
    queue: str
    run_key: str
    status: RunStatus
    pause_reason: PauseReason
    cancel_requested: bool
    input: _payload_pb2.Payload
    output: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    priority: int
    version: int
    steps_completed: int
    last_seq: int
    epoch: int
    worker_id: str
    created_at_ms: int
    updated_at_ms: int
    started_at_ms: int
    closed_at_ms: int
    available_at_ms: int
    timeout_at_ms: int
    def __init__(self, namespace: _Optional[str] = ..., run_id: _Optional[str] = ..., workflow: _Optional[str] = ..., queue: _Optional[str] = ..., run_key: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ..., pause_reason: _Optional[_Union[PauseReason, str]] = ..., cancel_requested: bool = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., priority: _Optional[int] = ..., version: _Optional[int] = ..., steps_completed: _Optional[int] = ..., last_seq: _Optional[int] = ..., epoch: _Optional[int] = ..., worker_id: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., updated_at_ms: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., closed_at_ms: _Optional[int] = ..., available_at_ms: _Optional[int] = ..., timeout_at_ms: _Optional[int] = ...) -> None: ...
