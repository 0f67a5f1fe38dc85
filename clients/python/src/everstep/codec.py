"""How user values become payloads and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ._gen import payload_pb2
from .errors import PayloadCodecError, PayloadTooLargeError


@dataclass(frozen=True, kw_only=True)
class EncodedPayload:
    """A user value as it travels and is stored: JSON text or bytes, and a label that says how to read it."""

    json: str | None = None
    data: bytes | None = None
    encoding: str = ""
    """For example "json/zstd"; empty means plain."""


class PayloadCodec(Protocol):
    """Turns values into payloads and back: the place for encryption, compression or another format.

    Called on the loop that the worker was started on.
    """

    def encode(self, value: Any) -> EncodedPayload: ...

    def decode(self, payload: EncodedPayload) -> Any: ...


class JsonCodec:
    """The default: JSON for everything but bytes, which travel as they are."""

    def encode(self, value: Any) -> EncodedPayload:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return EncodedPayload(data=bytes(value))
        return EncodedPayload(json=json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))

    def decode(self, payload: EncodedPayload) -> Any:
        if payload.encoding:
            raise ValueError(f"payload is encoded as {payload.encoding!r}; configure a codec that reads it")
        return json.loads(payload.json) if payload.json is not None else payload.data


def encode_optional(codec: PayloadCodec, value: Any) -> payload_pb2.Payload | None:
    """For what may be left out: None is no payload."""
    return None if value is None else encode_payload(codec, value)


def encode_payload(codec: PayloadCodec, value: Any) -> payload_pb2.Payload | None:
    """None is a value, JSON's null by default. A codec that gives neither JSON nor bytes makes no payload."""
    try:
        encoded = codec.encode(value)
        if encoded.json is not None:
            return payload_pb2.Payload(json=encoded.json, encoding=encoded.encoding)
        if encoded.data is not None:
            return payload_pb2.Payload(bytes=encoded.data, encoding=encoded.encoding)
        return None
    except Exception as error:
        raise PayloadCodecError(f"the value cannot be encoded: {error}") from error


def decode_payload(codec: PayloadCodec, payload: payload_pb2.Payload | None) -> Any:
    """``None`` for no payload, and for one without data."""
    if payload is None:
        return None
    kind = payload.WhichOneof("data")
    if kind is None:
        return None
    try:
        if kind == "json":
            return codec.decode(EncodedPayload(json=payload.json, encoding=payload.encoding))
        return codec.decode(EncodedPayload(data=payload.bytes, encoding=payload.encoding))
    except Exception as error:
        raise PayloadCodecError(f"the payload cannot be decoded: {error}") from error


def payload_bytes(payload: payload_pb2.Payload | None) -> int:
    """Size as the limits count it: bytes of the value."""
    if payload is None:
        return 0
    if payload.WhichOneof("data") == "bytes":
        return len(payload.bytes)
    text = payload.json
    return len(text) if text.isascii() else len(text.encode())


def encode_within(
    codec: PayloadCodec, value: Any, what: Callable[[], str], bytes_max: int
) -> tuple[payload_pb2.Payload | None, int]:
    """Encodes and checks the size; ``what`` names the value in the error. Returns the payload and its bytes."""
    payload = encode_payload(codec, value)
    size = payload_bytes(payload)
    if size > bytes_max:
        raise PayloadTooLargeError(f"{what()} has {size} bytes, the limit is {bytes_max}")
    return payload, size
