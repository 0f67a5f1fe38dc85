from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TimerKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIMER_KIND_UNSPECIFIED: _ClassVar[TimerKind]
    TIMER_KIND_SLEEP: _ClassVar[TimerKind]
    TIMER_KIND_WAIT_TIMEOUT: _ClassVar[TimerKind]
TIMER_KIND_UNSPECIFIED: TimerKind
TIMER_KIND_SLEEP: TimerKind
TIMER_KIND_WAIT_TIMEOUT: TimerKind

class Timer(_message.Message):
    __slots__ = ("step_key", "kind", "fires_at_ms")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    kind: TimerKind
    fires_at_ms: int
    def __init__(self, step_key: _Optional[str] = ..., kind: _Optional[_Union[TimerKind, str]] = ..., fires_at_ms: _Optional[int] = ...) -> None: ...
