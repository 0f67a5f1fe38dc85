from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackoffKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKOFF_KIND_UNSPECIFIED: _ClassVar[BackoffKind]
    BACKOFF_KIND_FIXED: _ClassVar[BackoffKind]
    BACKOFF_KIND_LINEAR: _ClassVar[BackoffKind]
    BACKOFF_KIND_EXPONENTIAL: _ClassVar[BackoffKind]
    BACKOFF_KIND_LISTED: _ClassVar[BackoffKind]
BACKOFF_KIND_UNSPECIFIED: BackoffKind
BACKOFF_KIND_FIXED: BackoffKind
BACKOFF_KIND_LINEAR: BackoffKind
BACKOFF_KIND_EXPONENTIAL: BackoffKind
BACKOFF_KIND_LISTED: BackoffKind

class RetryPolicy(_message.Message):
    __slots__ = ("backoff", "initial_delay_ms", "factor", "max_delay_ms", "jitter", "max_attempts", "max_elapsed_ms", "non_retryable_types", "delays_ms")
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    INITIAL_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    MAX_ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    NON_RETRYABLE_TYPES_FIELD_NUMBER: _ClassVar[int]
    DELAYS_MS_FIELD_NUMBER: _ClassVar[int]
    backoff: BackoffKind
    initial_delay_ms: int
    factor: float
    max_delay_ms: int
    jitter: float
    max_attempts: int
    max_elapsed_ms: int
    non_retryable_types: _containers.RepeatedScalarFieldContainer[str]
    delays_ms: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, backoff: _Optional[_Union[BackoffKind, str]] = ..., initial_delay_ms: _Optional[int] = ..., factor: _Optional[float] = ..., max_delay_ms: _Optional[int] = ..., jitter: _Optional[float] = ..., max_attempts: _Optional[int] = ..., max_elapsed_ms: _Optional[int] = ..., non_retryable_types: _Optional[_Iterable[str]] = ..., delays_ms: _Optional[_Iterable[int]] = ...) -> None: ...
