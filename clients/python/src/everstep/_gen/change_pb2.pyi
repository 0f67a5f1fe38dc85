from everstep._gen import error_reason_pb2 as _error_reason_pb2
from everstep._gen import event_pb2 as _event_pb2
from everstep._gen import failure_pb2 as _failure_pb2
from everstep._gen import lease_pb2 as _lease_pb2
from everstep._gen import payload_pb2 as _payload_pb2
from everstep._gen import retry_policy_pb2 as _retry_policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Op(_message.Message):
    __slots__ = ("op_id", "lease", "changes", "after_refused")
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    AFTER_REFUSED_FIELD_NUMBER: _ClassVar[int]
    op_id: int
    lease: _lease_pb2.Lease
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    after_refused: int
    def __init__(self, op_id: _Optional[int] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., after_refused: _Optional[int] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("start_step", "complete_step", "fail_step", "set_timer", "cancel_timer", "consume_signal", "suspend_run", "complete_run", "fail_run", "cancelled_run")
    START_STEP_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_STEP_FIELD_NUMBER: _ClassVar[int]
    FAIL_STEP_FIELD_NUMBER: _ClassVar[int]
    SET_TIMER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_TIMER_FIELD_NUMBER: _ClassVar[int]
    CONSUME_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_RUN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_RUN_FIELD_NUMBER: _ClassVar[int]
    FAIL_RUN_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_RUN_FIELD_NUMBER: _ClassVar[int]
    start_step: StepStart
    complete_step: StepCompletion
    fail_step: StepFailure
    set_timer: TimerSetting
    cancel_timer: TimerCancellation
    consume_signal: SignalConsumption
    suspend_run: RunSuspension
    complete_run: RunCompletion
    fail_run: RunFailure
    cancelled_run: RunCancellation
    def __init__(self, start_step: _Optional[_Union[StepStart, _Mapping]] = ..., complete_step: _Optional[_Union[StepCompletion, _Mapping]] = ..., fail_step: _Optional[_Union[StepFailure, _Mapping]] = ..., set_timer: _Optional[_Union[TimerSetting, _Mapping]] = ..., cancel_timer: _Optional[_Union[TimerCancellation, _Mapping]] = ..., consume_signal: _Optional[_Union[SignalConsumption, _Mapping]] = ..., suspend_run: _Optional[_Union[RunSuspension, _Mapping]] = ..., complete_run: _Optional[_Union[RunCompletion, _Mapping]] = ..., fail_run: _Optional[_Union[RunFailure, _Mapping]] = ..., cancelled_run: _Optional[_Union[RunCancellation, _Mapping]] = ...) -> None: ...

class StepStart(_message.Message):
    __slots__ = ("step_key", "attempt", "at_most_once", "timeout_ms", "input", "retry_policy")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_ONCE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    attempt: int
    at_most_once: bool
    timeout_ms: int
    input: _payload_pb2.Payload
    retry_policy: _retry_policy_pb2.RetryPolicy
    def __init__(self, step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., at_most_once: bool = ..., timeout_ms: _Optional[int] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ...) -> None: ...

class StepCompletion(_message.Message):
    __slots__ = ("step_key", "output", "attempt", "elapsed_ms")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    output: _payload_pb2.Payload
    attempt: int
    elapsed_ms: int
    def __init__(self, step_key: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., attempt: _Optional[int] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...

class StepFailure(_message.Message):
    __slots__ = ("step_key", "attempt", "failure", "retry_policy", "elapsed_ms")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    attempt: int
    failure: _failure_pb2.Failure
    retry_policy: _retry_policy_pb2.RetryPolicy
    elapsed_ms: int
    def __init__(self, step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...

class TimerSetting(_message.Message):
    __slots__ = ("step_key", "delay_ms", "signal_name")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    delay_ms: int
    signal_name: str
    def __init__(self, step_key: _Optional[str] = ..., delay_ms: _Optional[int] = ..., signal_name: _Optional[str] = ...) -> None: ...

class TimerCancellation(_message.Message):
    __slots__ = ("step_key",)
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    def __init__(self, step_key: _Optional[str] = ...) -> None: ...

class SignalConsumption(_message.Message):
    __slots__ = ("step_key", "name")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    name: str
    def __init__(self, step_key: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RunSuspension(_message.Message):
    __slots__ = ("awaits", "notices_seen")
    AWAITS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_SEEN_FIELD_NUMBER: _ClassVar[int]
    awaits: _containers.RepeatedCompositeFieldContainer[_event_pb2.Await]
    notices_seen: int
    def __init__(self, awaits: _Optional[_Iterable[_Union[_event_pb2.Await, _Mapping]]] = ..., notices_seen: _Optional[int] = ...) -> None: ...

class RunCompletion(_message.Message):
    __slots__ = ("output",)
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    output: _payload_pb2.Payload
    def __init__(self, output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class RunFailure(_message.Message):
    __slots__ = ("failure", "failed_steps")
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILED_STEPS_FIELD_NUMBER: _ClassVar[int]
    failure: _failure_pb2.Failure
    failed_steps: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., failed_steps: _Optional[_Iterable[str]] = ...) -> None: ...

class RunCancellation(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OpResult(_message.Message):
    __slots__ = ("op_id", "lease_id", "applied", "refused")
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    op_id: int
    lease_id: bytes
    applied: OpApplied
    refused: OpRefusal
    def __init__(self, op_id: _Optional[int] = ..., lease_id: _Optional[bytes] = ..., applied: _Optional[_Union[OpApplied, _Mapping]] = ..., refused: _Optional[_Union[OpRefusal, _Mapping]] = ...) -> None: ...

class OpApplied(_message.Message):
    __slots__ = ("already_applied", "last_seq", "results")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    last_seq: int
    results: _containers.RepeatedCompositeFieldContainer[ChangeResult]
    def __init__(self, already_applied: bool = ..., last_seq: _Optional[int] = ..., results: _Optional[_Iterable[_Union[ChangeResult, _Mapping]]] = ...) -> None: ...

class ChangeResult(_message.Message):
    __slots__ = ("index", "retry", "exhausted", "signal", "stored_output", "timer")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    STORED_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TIMER_FIELD_NUMBER: _ClassVar[int]
    index: int
    retry: RetryPlanned
    exhausted: StepExhausted
    signal: ConsumedSignal
    stored_output: _payload_pb2.Payload
    timer: TimerPlanned
    def __init__(self, index: _Optional[int] = ..., retry: _Optional[_Union[RetryPlanned, _Mapping]] = ..., exhausted: _Optional[_Union[StepExhausted, _Mapping]] = ..., signal: _Optional[_Union[ConsumedSignal, _Mapping]] = ..., stored_output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., timer: _Optional[_Union[TimerPlanned, _Mapping]] = ...) -> None: ...

class RetryPlanned(_message.Message):
    __slots__ = ("next_attempt", "delay_ms")
    NEXT_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    next_attempt: int
    delay_ms: int
    def __init__(self, next_attempt: _Optional[int] = ..., delay_ms: _Optional[int] = ...) -> None: ...

class StepExhausted(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    def __init__(self, attempt: _Optional[int] = ...) -> None: ...

class ConsumedSignal(_message.Message):
    __slots__ = ("signal_id", "payload")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    signal_id: int
    payload: _payload_pb2.Payload
    def __init__(self, signal_id: _Optional[int] = ..., payload: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class TimerPlanned(_message.Message):
    __slots__ = ("delay_ms",)
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    delay_ms: int
    def __init__(self, delay_ms: _Optional[int] = ...) -> None: ...

class OpRefusal(_message.Message):
    __slots__ = ("reason", "message", "retryable", "lease_lost", "retry_after_ms", "field")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    LEASE_LOST_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    reason: _error_reason_pb2.ErrorReason
    message: str
    retryable: bool
    lease_lost: bool
    retry_after_ms: int
    field: str
    def __init__(self, reason: _Optional[_Union[_error_reason_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ..., retryable: bool = ..., lease_lost: bool = ..., retry_after_ms: _Optional[int] = ..., field: _Optional[str] = ...) -> None: ...
