from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Payload(_message.Message):
    __slots__ = ("json", "bytes", "encoding")
    JSON_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    json: str
    bytes: bytes
    encoding: str
    def __init__(self, json: _Optional[str] = ..., bytes: _Optional[bytes] = ..., encoding: _Optional[str] = ...) -> None: ...
