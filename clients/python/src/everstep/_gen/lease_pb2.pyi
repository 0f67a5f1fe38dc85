from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseEndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEASE_END_REASON_UNSPECIFIED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_DONE: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_SUSPENDED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_RELEASED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_EXPIRED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_REVOKED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_UNDELIVERED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_UNACCEPTED: _ClassVar[LeaseEndReason]
    LEASE_END_REASON_RESTART: _ClassVar[LeaseEndReason]
LEASE_END_REASON_UNSPECIFIED: LeaseEndReason
LEASE_END_REASON_DONE: LeaseEndReason
LEASE_END_REASON_SUSPENDED: LeaseEndReason
LEASE_END_REASON_RELEASED: LeaseEndReason
LEASE_END_REASON_EXPIRED: LeaseEndReason
LEASE_END_REASON_REVOKED: LeaseEndReason
LEASE_END_REASON_UNDELIVERED: LeaseEndReason
LEASE_END_REASON_UNACCEPTED: LeaseEndReason
LEASE_END_REASON_RESTART: LeaseEndReason

class Lease(_message.Message):
    __slots__ = ("run_id", "lease_id", "epoch")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    lease_id: bytes
    epoch: int
    def __init__(self, run_id: _Optional[str] = ..., lease_id: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...
