from everstep._gen import change_pb2 as _change_pb2
from everstep._gen import event_pb2 as _event_pb2
from everstep._gen import failure_pb2 as _failure_pb2
from everstep._gen import lease_pb2 as _lease_pb2
from everstep._gen import payload_pb2 as _payload_pb2
from everstep._gen import retry_policy_pb2 as _retry_policy_pb2
from everstep._gen import worker_service_pb2 as _worker_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AcquireLeaseRequest(_message.Message):
    __slots__ = ("namespace", "queues", "workflows", "worker_id", "request_id", "wait_ms", "lease_ttl_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    queues: _containers.RepeatedScalarFieldContainer[str]
    workflows: _containers.RepeatedScalarFieldContainer[str]
    worker_id: str
    request_id: str
    wait_ms: int
    lease_ttl_ms: int
    def __init__(self, namespace: _Optional[str] = ..., queues: _Optional[_Iterable[str]] = ..., workflows: _Optional[_Iterable[str]] = ..., worker_id: _Optional[str] = ..., request_id: _Optional[str] = ..., wait_ms: _Optional[int] = ..., lease_ttl_ms: _Optional[int] = ...) -> None: ...

class AcquireLeaseResponse(_message.Message):
    __slots__ = ("assignment",)
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    assignment: _worker_service_pb2.Assignment
    def __init__(self, assignment: _Optional[_Union[_worker_service_pb2.Assignment, _Mapping]] = ...) -> None: ...

class RenewLeaseRequest(_message.Message):
    __slots__ = ("namespace", "lease", "lease_ttl_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    lease_ttl_ms: int
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., lease_ttl_ms: _Optional[int] = ...) -> None: ...

class RenewLeaseResponse(_message.Message):
    __slots__ = ("expires_in_ms", "notices")
    EXPIRES_IN_MS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    expires_in_ms: int
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    def __init__(self, expires_in_ms: _Optional[int] = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ...) -> None: ...

class ReleaseLeaseRequest(_message.Message):
    __slots__ = ("namespace", "lease", "retry_after_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    retry_after_ms: int
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class ReleaseLeaseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StartStepRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "step_key", "attempt", "at_most_once", "timeout_ms", "input", "retry_policy")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_ONCE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    step_key: str
    attempt: int
    at_most_once: bool
    timeout_ms: int
    input: _payload_pb2.Payload
    retry_policy: _retry_policy_pb2.RetryPolicy
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., at_most_once: bool = ..., timeout_ms: _Optional[int] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ...) -> None: ...

class StartStepResponse(_message.Message):
    __slots__ = ("already_applied", "notices")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ...) -> None: ...

class CompleteStepRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "step_key", "output", "attempt", "elapsed_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    step_key: str
    output: _payload_pb2.Payload
    attempt: int
    elapsed_ms: int
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., attempt: _Optional[int] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...

class CompleteStepResponse(_message.Message):
    __slots__ = ("already_applied", "notices", "stored_output")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    STORED_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    stored_output: _payload_pb2.Payload
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ..., stored_output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class FailStepRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "step_key", "attempt", "failure", "retry_policy", "elapsed_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    step_key: str
    attempt: int
    failure: _failure_pb2.Failure
    retry_policy: _retry_policy_pb2.RetryPolicy
    elapsed_ms: int
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...

class FailStepResponse(_message.Message):
    __slots__ = ("already_applied", "notices", "retry")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    retry: _change_pb2.RetryPlanned
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ..., retry: _Optional[_Union[_change_pb2.RetryPlanned, _Mapping]] = ...) -> None: ...

class CreateTimerRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "step_key", "delay_ms", "signal_name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    step_key: str
    delay_ms: int
    signal_name: str
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ..., delay_ms: _Optional[int] = ..., signal_name: _Optional[str] = ...) -> None: ...

class CreateTimerResponse(_message.Message):
    __slots__ = ("already_applied", "notices", "delay_ms")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    delay_ms: int
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ..., delay_ms: _Optional[int] = ...) -> None: ...

class CancelTimerRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "step_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    step_key: str
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ...) -> None: ...

class CancelTimerResponse(_message.Message):
    __slots__ = ("already_applied", "notices")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ...) -> None: ...

class ConsumeSignalRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "step_key", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    step_key: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., step_key: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ConsumeSignalResponse(_message.Message):
    __slots__ = ("already_applied", "notices", "signal_id", "payload")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    signal_id: int
    payload: _payload_pb2.Payload
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ..., signal_id: _Optional[int] = ..., payload: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class SuspendRunRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "awaits", "notices_seen")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    AWAITS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_SEEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    awaits: _containers.RepeatedCompositeFieldContainer[_event_pb2.Await]
    notices_seen: int
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., awaits: _Optional[_Iterable[_Union[_event_pb2.Await, _Mapping]]] = ..., notices_seen: _Optional[int] = ...) -> None: ...

class SuspendRunResponse(_message.Message):
    __slots__ = ("already_applied", "notices", "queued")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    queued: bool
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ..., queued: bool = ...) -> None: ...

class CompleteRunRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "output")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    output: _payload_pb2.Payload
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class CompleteRunResponse(_message.Message):
    __slots__ = ("already_applied", "notices")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ...) -> None: ...

class FailRunRequest(_message.Message):
    __slots__ = ("namespace", "lease", "op_id", "failure", "failed_steps")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILED_STEPS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lease: _lease_pb2.Lease
    op_id: int
    failure: _failure_pb2.Failure
    failed_steps: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace: _Optional[str] = ..., lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., op_id: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., failed_steps: _Optional[_Iterable[str]] = ...) -> None: ...

class FailRunResponse(_message.Message):
    __slots__ = ("already_applied", "notices")
    ALREADY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    already_applied: bool
    notices: _containers.RepeatedCompositeFieldContainer[_worker_service_pb2.Notice]
    def __init__(self, already_applied: bool = ..., notices: _Optional[_Iterable[_Union[_worker_service_pb2.Notice, _Mapping]]] = ...) -> None: ...
