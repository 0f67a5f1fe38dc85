from everstep.v1 import failure_pb2 as _failure_pb2
from everstep.v1 import lease_pb2 as _lease_pb2
from everstep.v1 import payload_pb2 as _payload_pb2
from everstep.v1 import run_pb2 as _run_pb2
from everstep.v1 import timer_pb2 as _timer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    EVENT_TYPE_RUN_CREATED: _ClassVar[EventType]
    EVENT_TYPE_LEASE_GRANTED: _ClassVar[EventType]
    EVENT_TYPE_LEASE_EXTENDED: _ClassVar[EventType]
    EVENT_TYPE_LEASE_ENDED: _ClassVar[EventType]
    EVENT_TYPE_STEP_STARTED: _ClassVar[EventType]
    EVENT_TYPE_STEP_ATTEMPT_FAILED: _ClassVar[EventType]
    EVENT_TYPE_STEP_COMPLETED: _ClassVar[EventType]
    EVENT_TYPE_STEP_FAILED: _ClassVar[EventType]
    EVENT_TYPE_TIMER_SET: _ClassVar[EventType]
    EVENT_TYPE_TIMER_FIRED: _ClassVar[EventType]
    EVENT_TYPE_TIMER_CANCELLED: _ClassVar[EventType]
    EVENT_TYPE_SIGNAL_RECEIVED: _ClassVar[EventType]
    EVENT_TYPE_SIGNAL_CONSUMED: _ClassVar[EventType]
    EVENT_TYPE_RUN_SUSPENDED: _ClassVar[EventType]
    EVENT_TYPE_RETRY_DUE: _ClassVar[EventType]
    EVENT_TYPE_CANCEL_REQUESTED: _ClassVar[EventType]
    EVENT_TYPE_CANCEL_DELIVERED: _ClassVar[EventType]
    EVENT_TYPE_PAUSE_REQUESTED: _ClassVar[EventType]
    EVENT_TYPE_RUN_PAUSED: _ClassVar[EventType]
    EVENT_TYPE_RUN_RESUMED: _ClassVar[EventType]
    EVENT_TYPE_RUN_COMPLETED: _ClassVar[EventType]
    EVENT_TYPE_RUN_FAILED: _ClassVar[EventType]
    EVENT_TYPE_RUN_CANCELLED: _ClassVar[EventType]
    EVENT_TYPE_RUN_TERMINATED: _ClassVar[EventType]
    EVENT_TYPE_RUN_REOPENED: _ClassVar[EventType]
    EVENT_TYPE_SIGNAL_RESERVED: _ClassVar[EventType]
EVENT_TYPE_UNSPECIFIED: EventType
EVENT_TYPE_RUN_CREATED: EventType
EVENT_TYPE_LEASE_GRANTED: EventType
EVENT_TYPE_LEASE_EXTENDED: EventType
EVENT_TYPE_LEASE_ENDED: EventType
EVENT_TYPE_STEP_STARTED: EventType
EVENT_TYPE_STEP_ATTEMPT_FAILED: EventType
EVENT_TYPE_STEP_COMPLETED: EventType
EVENT_TYPE_STEP_FAILED: EventType
EVENT_TYPE_TIMER_SET: EventType
EVENT_TYPE_TIMER_FIRED: EventType
EVENT_TYPE_TIMER_CANCELLED: EventType
EVENT_TYPE_SIGNAL_RECEIVED: EventType
EVENT_TYPE_SIGNAL_CONSUMED: EventType
EVENT_TYPE_RUN_SUSPENDED: EventType
EVENT_TYPE_RETRY_DUE: EventType
EVENT_TYPE_CANCEL_REQUESTED: EventType
EVENT_TYPE_CANCEL_DELIVERED: EventType
EVENT_TYPE_PAUSE_REQUESTED: EventType
EVENT_TYPE_RUN_PAUSED: EventType
EVENT_TYPE_RUN_RESUMED: EventType
EVENT_TYPE_RUN_COMPLETED: EventType
EVENT_TYPE_RUN_FAILED: EventType
EVENT_TYPE_RUN_CANCELLED: EventType
EVENT_TYPE_RUN_TERMINATED: EventType
EVENT_TYPE_RUN_REOPENED: EventType
EVENT_TYPE_SIGNAL_RESERVED: EventType

class Event(_message.Message):
    __slots__ = ("seq", "type", "at_ms", "epoch", "op_id", "step_key", "started_at_ms", "payload", "failure", "attempt", "due_at_ms", "name", "signal_id", "lease_end_reason", "pause_reason", "reason", "worker_id", "lease_ttl_ms", "awaits", "failed_steps", "timer_kind")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_END_REASON_FIELD_NUMBER: _ClassVar[int]
    PAUSE_REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    AWAITS_FIELD_NUMBER: _ClassVar[int]
    FAILED_STEPS_FIELD_NUMBER: _ClassVar[int]
    TIMER_KIND_FIELD_NUMBER: _ClassVar[int]
    seq: int
    type: EventType
    at_ms: int
    epoch: int
    op_id: int
    step_key: str
    started_at_ms: int
    payload: _payload_pb2.Payload
    failure: _failure_pb2.Failure
    attempt: int
    due_at_ms: int
    name: str
    signal_id: int
    lease_end_reason: _lease_pb2.LeaseEndReason
    pause_reason: _run_pb2.PauseReason
    reason: str
    worker_id: str
    lease_ttl_ms: int
    awaits: _containers.RepeatedCompositeFieldContainer[Await]
    failed_steps: _containers.RepeatedScalarFieldContainer[str]
    timer_kind: _timer_pb2.TimerKind
    def __init__(self, seq: _Optional[int] = ..., type: _Optional[_Union[EventType, str]] = ..., at_ms: _Optional[int] = ..., epoch: _Optional[int] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ..., started_at_ms: _Optional[int] = ..., payload: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., attempt: _Optional[int] = ..., due_at_ms: _Optional[int] = ..., name: _Optional[str] = ..., signal_id: _Optional[int] = ..., lease_end_reason: _Optional[_Union[_lease_pb2.LeaseEndReason, str]] = ..., pause_reason: _Optional[_Union[_run_pb2.PauseReason, str]] = ..., reason: _Optional[str] = ..., worker_id: _Optional[str] = ..., lease_ttl_ms: _Optional[int] = ..., awaits: _Optional[_Iterable[_Union[Await, _Mapping]]] = ..., failed_steps: _Optional[_Iterable[str]] = ..., timer_kind: _Optional[_Union[_timer_pb2.TimerKind, str]] = ...) -> None: ...

class Await(_message.Message):
    __slots__ = ("timer", "signal", "retry", "any", "step_key")
    TIMER_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    timer: str
    signal: str
    retry: str
    any: AnyArrival
    step_key: str
    def __init__(self, timer: _Optional[str] = ..., signal: _Optional[str] = ..., retry: _Optional[str] = ..., any: _Optional[_Union[AnyArrival, _Mapping]] = ..., step_key: _Optional[str] = ...) -> None: ...

class AnyArrival(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
