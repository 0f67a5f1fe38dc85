"""Unary calls: tries again while the server cannot be reached, and turns what it refuses into CallRefusedError."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from . import _limits as limits
from ._backoff import CALL_BACKOFF, full_jitter_ms
from ._ports import system_random
from .errors import CallRefusedError


async def call_with_retry(call: Callable[[], Awaitable[Any]], closed: Callable[[], bool]) -> Any:
    """Every call of the client is idempotent, so every call may be repeated."""
    failures = 0
    end = 0.0
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            now = time.monotonic()
            failures += 1
            if failures == 1:
                end = now + limits.CALL_PATIENCE
            if now >= end or not may_repeat(error):
                raise to_refusal(error) from error
            await pause_before_repeat(error, failures, closed)


async def answer_of(call: Awaitable[Any]) -> Any:
    """For the user's task: a client that is closed cancels who waits on it, though nobody has cancelled that task."""
    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling() > 0:
            raise
        raise CallRefusedError("UNAVAILABLE", "the client was closed", {}) from None


async def pause_before_repeat(
    error: grpc.aio.AioRpcError, failures: int, closed: Callable[[], bool], seconds_left: float | None = None
) -> None:
    """Raises the error that was to be repeated when the client is closed meanwhile."""
    delay = (full_jitter_ms(failures, CALL_BACKOFF, system_random) + CALL_BACKOFF.base_ms) / 1_000
    if not closed():
        await asyncio.sleep(delay if seconds_left is None else min(delay, seconds_left))
    if closed():
        raise to_refusal(error) from error


def may_repeat(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call may succeed a moment later. A call whose connection is gone ends as CANCELLED, too."""
    code = error.code()
    if code is grpc.StatusCode.CANCELLED:
        return True
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED):
        return _reason_of(error)[0] != "REQUEST_CONFLICT"
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
        # What the server itself says has a reason: this is what is left of an answer that was cut short.
        return not has_reason(error)
    return code == grpc.StatusCode.RESOURCE_EXHAUSTED and _reason_of(error)[0] == "BUSY"


def to_refusal(error: grpc.aio.AioRpcError) -> CallRefusedError:
    """Errors that do not come from the server itself have their code as reason: "UNAVAILABLE", "DEADLINE_EXCEEDED"."""
    reason, metadata = _reason_of(error)
    return CallRefusedError(reason or error.code().name, error.details() or "", metadata)


def has_reason(error: grpc.aio.AioRpcError) -> bool:
    return _reason_of(error)[0] != ""


def _reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key != "grpc-status-details-bin":
            continue
        status = Status.FromString(value if isinstance(value, bytes) else value.encode("latin-1"))
        for detail in status.details:
            info = ErrorInfo()
            if detail.Unpack(info):
                return info.reason, dict(info.metadata)
    return "", {}
