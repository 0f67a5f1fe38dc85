from everstep._gen import change_pb2 as _change_pb2
from everstep._gen import error_reason_pb2 as _error_reason_pb2
from everstep._gen import failure_pb2 as _failure_pb2
from everstep._gen import lease_pb2 as _lease_pb2
from everstep._gen import payload_pb2 as _payload_pb2
from everstep._gen import signal_pb2 as _signal_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GoAwayReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GO_AWAY_REASON_UNSPECIFIED: _ClassVar[GoAwayReason]
    GO_AWAY_REASON_SHUTDOWN: _ClassVar[GoAwayReason]
    GO_AWAY_REASON_OVERLOAD: _ClassVar[GoAwayReason]
    GO_AWAY_REASON_SUPERSEDED: _ClassVar[GoAwayReason]
    GO_AWAY_REASON_SLOW_CONSUMER: _ClassVar[GoAwayReason]
    GO_AWAY_REASON_PROTOCOL: _ClassVar[GoAwayReason]
GO_AWAY_REASON_UNSPECIFIED: GoAwayReason
GO_AWAY_REASON_SHUTDOWN: GoAwayReason
GO_AWAY_REASON_OVERLOAD: GoAwayReason
GO_AWAY_REASON_SUPERSEDED: GoAwayReason
GO_AWAY_REASON_SLOW_CONSUMER: GoAwayReason
GO_AWAY_REASON_PROTOCOL: GoAwayReason

class SessionRequest(_message.Message):
    __slots__ = ("frame",)
    FRAME_FIELD_NUMBER: _ClassVar[int]
    frame: WorkerFrame
    def __init__(self, frame: _Optional[_Union[WorkerFrame, _Mapping]] = ...) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("frame",)
    FRAME_FIELD_NUMBER: _ClassVar[int]
    frame: ServerFrame
    def __init__(self, frame: _Optional[_Union[ServerFrame, _Mapping]] = ...) -> None: ...

class WorkerFrame(_message.Message):
    __slots__ = ("hello", "capacity", "accept", "release", "ops", "beat", "drain", "goodbye", "pong")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    OPS_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    capacity: Capacity
    accept: Accept
    release: Release
    ops: Ops
    beat: Beat
    drain: Drain
    goodbye: Goodbye
    pong: Pong
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., capacity: _Optional[_Union[Capacity, _Mapping]] = ..., accept: _Optional[_Union[Accept, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., ops: _Optional[_Union[Ops, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("welcome", "assign", "journal_chunk", "op_results", "beat_ack", "notices", "revoke", "drain_ack", "go_away", "ping", "frame_refused")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_CHUNK_FIELD_NUMBER: _ClassVar[int]
    OP_RESULTS_FIELD_NUMBER: _ClassVar[int]
    BEAT_ACK_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_ACK_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    FRAME_REFUSED_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assign: Assign
    journal_chunk: JournalChunk
    op_results: OpResults
    beat_ack: BeatAck
    notices: Notices
    revoke: Revoke
    drain_ack: DrainAck
    go_away: GoAway
    ping: Ping
    frame_refused: FrameRefused
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assign: _Optional[_Union[Assign, _Mapping]] = ..., journal_chunk: _Optional[_Union[JournalChunk, _Mapping]] = ..., op_results: _Optional[_Union[OpResults, _Mapping]] = ..., beat_ack: _Optional[_Union[BeatAck, _Mapping]] = ..., notices: _Optional[_Union[Notices, _Mapping]] = ..., revoke: _Optional[_Union[Revoke, _Mapping]] = ..., drain_ack: _Optional[_Union[DrainAck, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., frame_refused: _Optional[_Union[FrameRefused, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "worker_instance_id", "identity", "sdk", "build_id", "namespace", "queues", "workflows", "capacity", "resume", "held")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKER_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    worker_instance_id: str
    identity: str
    sdk: str
    build_id: str
    namespace: str
    queues: _containers.RepeatedScalarFieldContainer[str]
    workflows: _containers.RepeatedScalarFieldContainer[str]
    capacity: int
    resume: Resume
    held: _containers.RepeatedCompositeFieldContainer[HeldLease]
    def __init__(self, protocol_version: _Optional[int] = ..., worker_instance_id: _Optional[str] = ..., identity: _Optional[str] = ..., sdk: _Optional[str] = ..., build_id: _Optional[str] = ..., namespace: _Optional[str] = ..., queues: _Optional[_Iterable[str]] = ..., workflows: _Optional[_Iterable[str]] = ..., capacity: _Optional[int] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., held: _Optional[_Iterable[_Union[HeldLease, _Mapping]]] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("session_id", "resume_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: bytes
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[bytes] = ...) -> None: ...

class HeldLease(_message.Message):
    __slots__ = ("lease", "notices_seen", "last_refused_op_id")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    NOTICES_SEEN_FIELD_NUMBER: _ClassVar[int]
    LAST_REFUSED_OP_ID_FIELD_NUMBER: _ClassVar[int]
    lease: _lease_pb2.Lease
    notices_seen: int
    last_refused_op_id: int
    def __init__(self, lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., notices_seen: _Optional[int] = ..., last_refused_op_id: _Optional[int] = ...) -> None: ...

class Capacity(_message.Message):
    __slots__ = ("capacity",)
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    capacity: int
    def __init__(self, capacity: _Optional[int] = ...) -> None: ...

class Accept(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_lease_pb2.Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[_lease_pb2.Lease, _Mapping]]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("leases", "retry_after_ms")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_lease_pb2.Lease]
    retry_after_ms: int
    def __init__(self, leases: _Optional[_Iterable[_Union[_lease_pb2.Lease, _Mapping]]] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Ops(_message.Message):
    __slots__ = ("ops",)
    OPS_FIELD_NUMBER: _ClassVar[int]
    ops: _containers.RepeatedCompositeFieldContainer[_change_pb2.Op]
    def __init__(self, ops: _Optional[_Iterable[_Union[_change_pb2.Op, _Mapping]]] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("beat_seq", "held")
    BEAT_SEQ_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    beat_seq: int
    held: _containers.RepeatedCompositeFieldContainer[BeatLease]
    def __init__(self, beat_seq: _Optional[int] = ..., held: _Optional[_Iterable[_Union[BeatLease, _Mapping]]] = ...) -> None: ...

class BeatLease(_message.Message):
    __slots__ = ("lease_id", "epoch", "notices_seen")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NOTICES_SEEN_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    epoch: int
    notices_seen: int
    def __init__(self, lease_id: _Optional[bytes] = ..., epoch: _Optional[int] = ..., notices_seen: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pong(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session_id", "resume_token", "resumed", "protocol_version", "server_version", "settings", "verdicts")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: bytes
    resumed: bool
    protocol_version: int
    server_version: str
    settings: SessionSettings
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[bytes] = ..., resumed: bool = ..., protocol_version: _Optional[int] = ..., server_version: _Optional[str] = ..., settings: _Optional[_Union[SessionSettings, _Mapping]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ...) -> None: ...

class SessionSettings(_message.Message):
    __slots__ = ("lease_ttl_ms", "beat_interval_ms", "watchdog_ms", "accept_timeout_ms", "payload_bytes_max", "frame_ops_max")
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    BEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    WATCHDOG_MS_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    FRAME_OPS_MAX_FIELD_NUMBER: _ClassVar[int]
    lease_ttl_ms: int
    beat_interval_ms: int
    watchdog_ms: int
    accept_timeout_ms: int
    payload_bytes_max: int
    frame_ops_max: int
    def __init__(self, lease_ttl_ms: _Optional[int] = ..., beat_interval_ms: _Optional[int] = ..., watchdog_ms: _Optional[int] = ..., accept_timeout_ms: _Optional[int] = ..., payload_bytes_max: _Optional[int] = ..., frame_ops_max: _Optional[int] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("lease_id", "kept", "lost_reason", "last_op_id")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    LOST_REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_OP_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    kept: bool
    lost_reason: _lease_pb2.LeaseEndReason
    last_op_id: int
    def __init__(self, lease_id: _Optional[bytes] = ..., kept: bool = ..., lost_reason: _Optional[_Union[_lease_pb2.LeaseEndReason, str]] = ..., last_op_id: _Optional[int] = ...) -> None: ...

class Assign(_message.Message):
    __slots__ = ("assignments",)
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("lease", "namespace", "workflow", "input", "lease_ttl_ms", "journal", "journal_continues", "open_signals", "journal_through", "cancel_requested", "deliveries", "created_at_ms", "queue", "run_key")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_CONTINUES_FIELD_NUMBER: _ClassVar[int]
    OPEN_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_THROUGH_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    RUN_KEY_FIELD_NUMBER: _ClassVar[int]
    lease: _lease_pb2.Lease
    namespace: str
    workflow: str
    input: _payload_pb2.Payload
    lease_ttl_ms: int
    journal: _containers.RepeatedCompositeFieldContainer[JournalEntry]
    journal_continues: bool
    open_signals: _containers.RepeatedCompositeFieldContainer[_signal_pb2.Signal]
    journal_through: int
    cancel_requested: bool
    deliveries: int
    created_at_ms: int
    queue: str
    run_key: str
    def __init__(self, lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., namespace: _Optional[str] = ..., workflow: _Optional[str] = ..., input: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ..., lease_ttl_ms: _Optional[int] = ..., journal: _Optional[_Iterable[_Union[JournalEntry, _Mapping]]] = ..., journal_continues: bool = ..., open_signals: _Optional[_Iterable[_Union[_signal_pb2.Signal, _Mapping]]] = ..., journal_through: _Optional[int] = ..., cancel_requested: bool = ..., deliveries: _Optional[int] = ..., created_at_ms: _Optional[int] = ..., queue: _Optional[str] = ..., run_key: _Optional[str] = ...) -> None: ...

class JournalChunk(_message.Message):
    __slots__ = ("lease_id", "journal", "continues")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    CONTINUES_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    journal: _containers.RepeatedCompositeFieldContainer[JournalEntry]
    continues: bool
    def __init__(self, lease_id: _Optional[bytes] = ..., journal: _Optional[_Iterable[_Union[JournalEntry, _Mapping]]] = ..., continues: bool = ...) -> None: ...

class JournalEntry(_message.Message):
    __slots__ = ("step_key", "completed", "failed", "retrying", "started", "timer", "timer_fired", "signal", "timer_cancelled")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    TIMER_FIELD_NUMBER: _ClassVar[int]
    TIMER_FIRED_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TIMER_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    completed: JournalCompleted
    failed: JournalFailed
    retrying: JournalRetrying
    started: JournalStarted
    timer: JournalTimer
    timer_fired: JournalTimerFired
    signal: JournalSignal
    timer_cancelled: JournalTimerCancelled
    def __init__(self, step_key: _Optional[str] = ..., completed: _Optional[_Union[JournalCompleted, _Mapping]] = ..., failed: _Optional[_Union[JournalFailed, _Mapping]] = ..., retrying: _Optional[_Union[JournalRetrying, _Mapping]] = ..., started: _Optional[_Union[JournalStarted, _Mapping]] = ..., timer: _Optional[_Union[JournalTimer, _Mapping]] = ..., timer_fired: _Optional[_Union[JournalTimerFired, _Mapping]] = ..., signal: _Optional[_Union[JournalSignal, _Mapping]] = ..., timer_cancelled: _Optional[_Union[JournalTimerCancelled, _Mapping]] = ...) -> None: ...

class JournalCompleted(_message.Message):
    __slots__ = ("output",)
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    output: _payload_pb2.Payload
    def __init__(self, output: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class JournalFailed(_message.Message):
    __slots__ = ("failure", "attempt")
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    failure: _failure_pb2.Failure
    attempt: int
    def __init__(self, failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class JournalRetrying(_message.Message):
    __slots__ = ("attempt", "failure", "delay_ms", "elapsed_ms")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    failure: _failure_pb2.Failure
    delay_ms: int
    elapsed_ms: int
    def __init__(self, attempt: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., delay_ms: _Optional[int] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...

class JournalStarted(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    def __init__(self, attempt: _Optional[int] = ...) -> None: ...

class JournalTimer(_message.Message):
    __slots__ = ("delay_ms", "signal_name")
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    delay_ms: int
    signal_name: str
    def __init__(self, delay_ms: _Optional[int] = ..., signal_name: _Optional[str] = ...) -> None: ...

class JournalTimerFired(_message.Message):
    __slots__ = ("signal_name",)
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    signal_name: str
    def __init__(self, signal_name: _Optional[str] = ...) -> None: ...

class JournalSignal(_message.Message):
    __slots__ = ("signal_id", "name", "payload")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    signal_id: int
    name: str
    payload: _payload_pb2.Payload
    def __init__(self, signal_id: _Optional[int] = ..., name: _Optional[str] = ..., payload: _Optional[_Union[_payload_pb2.Payload, _Mapping]] = ...) -> None: ...

class JournalTimerCancelled(_message.Message):
    __slots__ = ("signal_name",)
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    signal_name: str
    def __init__(self, signal_name: _Optional[str] = ...) -> None: ...

class OpResults(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_change_pb2.OpResult]
    def __init__(self, results: _Optional[_Iterable[_Union[_change_pb2.OpResult, _Mapping]]] = ...) -> None: ...

class BeatAck(_message.Message):
    __slots__ = ("beat_seq", "expires_in_ms", "lost")
    BEAT_SEQ_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_MS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    beat_seq: int
    expires_in_ms: int
    lost: _containers.RepeatedCompositeFieldContainer[LostLease]
    def __init__(self, beat_seq: _Optional[int] = ..., expires_in_ms: _Optional[int] = ..., lost: _Optional[_Iterable[_Union[LostLease, _Mapping]]] = ...) -> None: ...

class LostLease(_message.Message):
    __slots__ = ("lease_id", "reason")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    reason: _lease_pb2.LeaseEndReason
    def __init__(self, lease_id: _Optional[bytes] = ..., reason: _Optional[_Union[_lease_pb2.LeaseEndReason, str]] = ...) -> None: ...

class Notices(_message.Message):
    __slots__ = ("notices",)
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    notices: _containers.RepeatedCompositeFieldContainer[Notice]
    def __init__(self, notices: _Optional[_Iterable[_Union[Notice, _Mapping]]] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("lease_id", "seq", "cancel", "signal", "timer_fired", "pause", "retry_due")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TIMER_FIRED_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DUE_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    seq: int
    cancel: CancelNotice
    signal: _signal_pb2.Signal
    timer_fired: str
    pause: PauseNotice
    retry_due: str
    def __init__(self, lease_id: _Optional[bytes] = ..., seq: _Optional[int] = ..., cancel: _Optional[_Union[CancelNotice, _Mapping]] = ..., signal: _Optional[_Union[_signal_pb2.Signal, _Mapping]] = ..., timer_fired: _Optional[str] = ..., pause: _Optional[_Union[PauseNotice, _Mapping]] = ..., retry_due: _Optional[str] = ...) -> None: ...

class CancelNotice(_message.Message):
    __slots__ = ("reason", "grace_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRACE_MS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    grace_ms: int
    def __init__(self, reason: _Optional[str] = ..., grace_ms: _Optional[int] = ...) -> None: ...

class PauseNotice(_message.Message):
    __slots__ = ("grace_ms",)
    GRACE_MS_FIELD_NUMBER: _ClassVar[int]
    grace_ms: int
    def __init__(self, grace_ms: _Optional[int] = ...) -> None: ...

class Revoke(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LostLease]
    def __init__(self, leases: _Optional[_Iterable[_Union[LostLease, _Mapping]]] = ...) -> None: ...

class DrainAck(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("reason", "reconnect_after_ms", "jitter_ms", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    JITTER_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: GoAwayReason
    reconnect_after_ms: int
    jitter_ms: int
    message: str
    def __init__(self, reason: _Optional[_Union[GoAwayReason, str]] = ..., reconnect_after_ms: _Optional[int] = ..., jitter_ms: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class FrameRefused(_message.Message):
    __slots__ = ("reason", "message", "field")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    reason: _error_reason_pb2.ErrorReason
    message: str
    field: str
    def __init__(self, reason: _Optional[_Union[_error_reason_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ..., field: _Optional[str] = ...) -> None: ...
