"""The record in which a failure travels and is stored.

It is the same for steps and runs and for all languages; here an error's class name is its ``type``, and chains of
``__cause__`` are kept both ways. Members of exception groups count as causes too.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from . import _limits as limits
from ._gen import failure_pb2, payload_pb2
from .errors import (
    AmbiguousStepKeyError,
    CancelledError,
    EverstepError,
    FailureInfo,
    HistoryLimitError,
    NonDeterminismError,
    NonRetryableError,
    PayloadCodecError,
    PayloadTooLargeError,
    RemoteError,
    RetryAfterError,
    StepFailedError,
    StepTimeoutError,
)

# Names that are part of the contract between languages differ from the class names here.
_TYPE_NAMES: dict[type[BaseException], str] = {
    StepTimeoutError: "StepTimeout",
    PayloadTooLargeError: "PayloadTooLarge",
    HistoryLimitError: "HistoryLimit",
    NonDeterminismError: "NonDeterminism",
    AmbiguousStepKeyError: "AmbiguousStepKey",
    StepFailedError: "StepFailed",
}


def to_failure(error: BaseException, depth: int = 1) -> failure_pb2.Failure:
    """The record of an error. Text beyond its limits is cut."""
    failure = failure_pb2.Failure(
        type=_clip(_type_of(error), limits.FAILURE_TYPE_BYTES_MAX),
        message=_clip(_text_of(error), limits.FAILURE_MESSAGE_BYTES_MAX),
        stack=_stack_of(error),
        non_retryable=_is_non_retryable(error),
        retry_after_ms=_retry_after_ms(error),
    )
    details = _json_or_none(_read(error, "details"))
    if details is not None:
        failure.details.CopyFrom(payload_pb2.Payload(json=details))
    cause = _cause_of(error)
    if cause is not None and depth < limits.FAILURE_DEPTH_MAX:
        failure.cause.CopyFrom(to_failure(cause, depth + 1))
    return failure


def to_failure_info(failure: failure_pb2.Failure) -> FailureInfo:
    """A stored record as data."""
    return FailureInfo(
        type=failure.type,
        message=failure.message,
        stack=failure.stack,
        details=_parse_details(failure),
        cause=to_failure_info(failure.cause) if failure.HasField("cause") else None,
        non_retryable=failure.non_retryable,
        retry_after_ms=failure.retry_after_ms,
    )


def to_error(failure: FailureInfo) -> RemoteError:
    """The error that a stored failure stands for. First run and replay both raise this one, never the original."""
    error = RemoteError(failure.type, failure.message, failure.details, failure.stack)
    if failure.cause is not None:
        error.__cause__ = to_error(failure.cause)
    return error


def step_failed(step_key: str, attempts: int, failure: failure_pb2.Failure) -> StepFailedError:
    info = to_failure_info(failure)
    error = StepFailedError(step_key, attempts, info)
    error.__cause__ = to_error(info)
    return error


def failed_steps(error: BaseException) -> list[str]:
    """Keys of the steps whose failures an error carries; RetryRun voids exactly these."""
    return list(dict.fromkeys(found.step_key for found in _carried_by(error) if isinstance(found, StepFailedError)))


def carries_cancel(error: BaseException) -> bool:
    """Whether a workflow that raises this ends because of its cancel."""
    return any(isinstance(found, CancelledError) for found in _carried_by(error))


def _carried_by(error: BaseException) -> Iterator[BaseException]:
    """The error itself, its causes, and the members of groups."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting.extend(_causes_of(found))


def _causes_of(error: BaseException) -> list[BaseException]:
    causes = [_read(error, "__cause__")]
    members = _read(error, "exceptions") if isinstance(error, BaseExceptionGroup) else None
    if isinstance(members, (tuple, list)):
        causes.extend(members)
    return [cause for cause in causes if isinstance(cause, BaseException)]


def _cause_of(error: BaseException) -> BaseException | None:
    return next(iter(_causes_of(error)), None)


def _read(error: BaseException, name: str) -> Any:
    """None for what cannot be read: a user's class may raise from any attribute, and its failure must come through."""
    try:
        return getattr(error, name, None)
    except Exception:
        return None


def _type_of(error: BaseException) -> str:
    own = _read(error, "type") if isinstance(error, (NonRetryableError, RemoteError)) else None
    if isinstance(own, str):
        return own
    return _TYPE_NAMES.get(type(error), type(error).__name__)


def _text_of(error: BaseException) -> str:
    try:
        if isinstance(error, EverstepError):
            return str(error.args[0]) if error.args else ""
        return str(error)
    except Exception:
        return f"an error of type {type(error).__name__} whose text cannot be read"


def _stack_of(error: BaseException) -> str:
    stored = _read(error, "stack") if isinstance(error, RemoteError) else None
    if stored and isinstance(stored, str):
        return _clip(stored, limits.FAILURE_STACK_BYTES_MAX)
    # The newest frame is the last line in Python: what does not fit is cut at the front.
    trace = _read(error, "__traceback__")
    text = "".join(traceback.format_tb(trace)) if isinstance(trace, TracebackType) else ""
    return text.encode("utf-8", "replace")[-limits.FAILURE_STACK_BYTES_MAX :].decode("utf-8", "ignore")


def _is_non_retryable(error: BaseException) -> bool:
    """The named kinds that no retry helps, and whatever says so of itself."""
    if isinstance(error, (NonRetryableError, PayloadTooLargeError, PayloadCodecError)):
        return True
    return _read(error, "non_retryable") is True


def _retry_after_ms(error: BaseException) -> int:
    if not isinstance(error, RetryAfterError):
        return 0
    try:
        wanted = error.retry_after
        return math.ceil(min(wanted * 1_000, limits.DELAY_MS_MAX)) if math.isfinite(wanted) and wanted > 0 else 0
    except Exception:
        return 0  # no number of seconds


def _clip(text: str, bytes_max: int) -> str:
    """Within the limit, and UTF-8 whatever was in it."""
    return text.encode("utf-8", "replace")[:bytes_max].decode("utf-8", "ignore")


def _parse_details(failure: failure_pb2.Failure) -> Any:
    kind = failure.details.WhichOneof("data") if failure.HasField("details") else None
    if kind is None:
        return None
    if kind == "bytes":
        return failure.details.bytes
    try:
        return json.loads(failure.details.json)
    except ValueError:
        return failure.details.json  # kept as text: an unreadable detail must not hide the failure itself


def _json_or_none(value: Any) -> str | None:
    if value is None or callable(value):
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()  # half a surrogate pair is no text
    except Exception:  # also of the user's own classes
        return None  # the message still says what happened
    return text if len(text) <= limits.FAILURE_MESSAGE_BYTES_MAX else None
