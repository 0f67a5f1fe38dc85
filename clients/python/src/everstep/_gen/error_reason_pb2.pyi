from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_PAYLOAD_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_EXISTS: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_KEY_TAKEN: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_CLOSED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_STATE: _ClassVar[ErrorReason]
    ERROR_REASON_LEASE_LOST: _ClassVar[ErrorReason]
    ERROR_REASON_OP_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_OP_OUT_OF_ORDER: _ClassVar[ErrorReason]
    ERROR_REASON_PRECEDING_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_STEP_COMPLETED: _ClassVar[ErrorReason]
    ERROR_REASON_STEP_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_STEP_KIND_MISMATCH: _ClassVar[ErrorReason]
    ERROR_REASON_NOTICES_PENDING: _ClassVar[ErrorReason]
    ERROR_REASON_NO_SIGNAL: _ClassVar[ErrorReason]
    ERROR_REASON_WAIT_TIMED_OUT: _ClassVar[ErrorReason]
    ERROR_REASON_TIMER_FIRED: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_PAUSED: _ClassVar[ErrorReason]
    ERROR_REASON_HISTORY_LIMIT: _ClassVar[ErrorReason]
    ERROR_REASON_BUSY: _ClassVar[ErrorReason]
    ERROR_REASON_DISK_FULL: _ClassVar[ErrorReason]
    ERROR_REASON_SHUTTING_DOWN: _ClassVar[ErrorReason]
    ERROR_REASON_UNAUTHENTICATED: _ClassVar[ErrorReason]
    ERROR_REASON_SESSION_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_PROTOCOL: _ClassVar[ErrorReason]
    ERROR_REASON_VERSION_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_CORRUPT_HISTORY: _ClassVar[ErrorReason]
    ERROR_REASON_BAD_PAGE_TOKEN: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_CONFLICT: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INVALID: ErrorReason
ERROR_REASON_PAYLOAD_TOO_LARGE: ErrorReason
ERROR_REASON_RUN_NOT_FOUND: ErrorReason
ERROR_REASON_RUN_EXISTS: ErrorReason
ERROR_REASON_RUN_KEY_TAKEN: ErrorReason
ERROR_REASON_RUN_CLOSED: ErrorReason
ERROR_REASON_INVALID_STATE: ErrorReason
ERROR_REASON_LEASE_LOST: ErrorReason
ERROR_REASON_OP_CONFLICT: ErrorReason
ERROR_REASON_OP_OUT_OF_ORDER: ErrorReason
ERROR_REASON_PRECEDING_FAILED: ErrorReason
ERROR_REASON_STEP_COMPLETED: ErrorReason
ERROR_REASON_STEP_FAILED: ErrorReason
ERROR_REASON_STEP_KIND_MISMATCH: ErrorReason
ERROR_REASON_NOTICES_PENDING: ErrorReason
ERROR_REASON_NO_SIGNAL: ErrorReason
ERROR_REASON_WAIT_TIMED_OUT: ErrorReason
ERROR_REASON_TIMER_FIRED: ErrorReason
ERROR_REASON_RUN_PAUSED: ErrorReason
ERROR_REASON_HISTORY_LIMIT: ErrorReason
ERROR_REASON_BUSY: ErrorReason
ERROR_REASON_DISK_FULL: ErrorReason
ERROR_REASON_SHUTTING_DOWN: ErrorReason
ERROR_REASON_UNAUTHENTICATED: ErrorReason
ERROR_REASON_SESSION_UNKNOWN: ErrorReason
ERROR_REASON_PROTOCOL: ErrorReason
ERROR_REASON_VERSION_UNSUPPORTED: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_CORRUPT_HISTORY: ErrorReason
ERROR_REASON_BAD_PAGE_TOKEN: ErrorReason
ERROR_REASON_REQUEST_CONFLICT: ErrorReason
