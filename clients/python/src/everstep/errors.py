"""Errors of the SDK. ``reason`` names them for code, the message is for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class FailureInfo:
    """A failure as data, without classes: the same for attempts, steps and runs and for all languages."""

    type: str
    message: str = ""
    stack: str = ""
    details: Any = None
    cause: FailureInfo | None = None
    non_retryable: bool = False
    retry_after_ms: int = 0


class EverstepError(Exception):
    """Base of every error that the SDK raises; ``reason`` is stable, the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StepFailedError(EverstepError):
    """A step's attempts are exhausted. ``__cause__`` is the last attempt's error."""

    def __init__(self, step_key: str, attempts: int, failure: FailureInfo) -> None:
        super().__init__("STEP_FAILED", f"step {_quote(step_key)} failed for good: {failure.type}: {failure.message}")
        self.step_key = step_key
        self.attempts = attempts
        self.failure = failure


class StepTimeoutError(EverstepError):
    """An attempt took longer than its ``timeout``; stored with type "StepTimeout"."""

    def __init__(self, step_key: str, timeout_ms: int) -> None:
        super().__init__("STEP_TIMEOUT", f"step {_quote(step_key)} took longer than {timeout_ms} ms")


class RunFailedError(EverstepError):
    """What ``client.result`` raises for a FAILED run. ``__cause__`` is the error as the worker stored it."""

    def __init__(self, run_id: str, failure: FailureInfo) -> None:
        super().__init__("RUN_FAILED", f"run {_quote(run_id)} failed: {failure.type}: {failure.message}")
        self.run_id = run_id
        self.failure = failure


class CancelledError(EverstepError):
    """A cancel was requested: raised by waits inside the workflow, and by ``client.result`` for a CANCELLED run.

    It is no ``asyncio.CancelledError``: that one means that a piece of code is stopped, this one that a run is to end.
    """

    def __init__(self, run_id: str, why: str = "") -> None:
        super().__init__("CANCELLED", f"run {_quote(run_id)} was cancelled{f': {why}' if why else ''}")
        self.run_id = run_id


class RunTerminatedError(EverstepError):
    """What ``client.result`` raises for a TERMINATED run."""

    def __init__(self, run_id: str) -> None:
        super().__init__("RUN_TERMINATED", f"run {_quote(run_id)} was terminated")


class ResultTimeoutError(EverstepError):
    """``client.result`` waited as long as it was told to; the run is still open."""

    def __init__(self, run_id: str, timeout: float) -> None:
        super().__init__("RESULT_TIMEOUT", f"run {_quote(run_id)} did not end within {timeout:g} s")


class LeaseLostError(EverstepError):
    """Why an attempt was stopped when this worker no longer holds the run: stop side effects, someone else goes on."""

    def __init__(self, run_id: str, why: str) -> None:
        super().__init__("LEASE_LOST", f"the lease of run {_quote(run_id)} is gone: {why}")


class NonRetryableError(EverstepError):
    """Raise it in a step to fail it at once, whatever its policy says. ``type`` is what the failure is stored under."""

    def __init__(self, message: str, *, type: str = "NonRetryableError", details: Any = None) -> None:
        super().__init__("NON_RETRYABLE", message)
        self.type = type
        self.details = details


class RetryAfterError(EverstepError):
    """Raise it in a step to be tried again no earlier than after ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("RETRY_AFTER", message)
        self.retry_after = retry_after


class AmbiguousStepKeyError(EverstepError):
    """The same key was used again while its first use had not finished: ``#n`` would depend on who comes first."""

    def __init__(self, step_key: str) -> None:
        super().__init__(
            "AMBIGUOUS_STEP_KEY",
            f"step key {_quote(step_key)} is used by two branches at the same time; give each branch its own key",
        )


class NonDeterminismError(EverstepError):
    """The code asks for something else under a step key than its history holds."""

    def __init__(self, step_key: str, asked: str, found: str) -> None:
        super().__init__(
            "STEP_KIND_MISMATCH",
            f"step key {_quote(step_key)} is a {asked} in the code and a {found} in the history; "
            "was the workflow changed while the run was open?",
        )


class NotDurableError(EverstepError):
    """Workflow code used a timer, thread or socket of asyncio, which no other worker could repeat."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "NOT_DURABLE",
            f"{what} is not durable in workflow code: use ctx.sleep or a timeout of ctx.signal, or do it in a step",
        )


class InvalidArgumentError(EverstepError):
    """A step key, signal name, duration or option that is not allowed."""

    def __init__(self, message: str) -> None:
        super().__init__("INVALID_ARGUMENT", message)


class PayloadTooLargeError(EverstepError):
    """A value is larger than the server takes."""

    def __init__(self, message: str) -> None:
        super().__init__("PAYLOAD_TOO_LARGE", message)


class PayloadCodecError(EverstepError):
    """The codec could not encode or decode a value."""

    def __init__(self, message: str) -> None:
        super().__init__("PAYLOAD_CODEC", message)


class OpRefusedError(EverstepError):
    """The server refused an op of this run; ``reason`` is the one that it gave."""

    def __init__(self, reason: str, message: str, field: str) -> None:
        super().__init__(reason, f"{reason}: {message}{f' ({field})' if field else ''}")
        self.field = field


class HistoryLimitError(EverstepError):
    """The run's history is at the server's limit; the run fails with this."""

    def __init__(self, message: str) -> None:
        super().__init__("HISTORY_LIMIT", message)


class CallRefusedError(EverstepError):
    """The server refused a call ("RUN_NOT_FOUND" is a ``reason``), or could not be reached ("UNAVAILABLE")."""

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str]) -> None:
        super().__init__(reason, message)
        self.metadata = dict(metadata)
        """Facts beside the reason, for example the ``run_id`` that holds a run key."""


class ForkedError(EverstepError):
    """Used in a process that was forked after a client or worker had connected in its parent."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            "FORKED",
            f"this process was forked from process {pid} after a client or worker had connected there, and gRPC does "
            "not survive that: fork before the first call, or start processes by spawn",
        )


class RemoteError(EverstepError):
    """An error that was stored and read back; ``type`` is what was stored."""

    def __init__(self, type: str, message: str, details: Any = None, stack: str = "") -> None:
        super().__init__("REMOTE", message)
        self.type = type
        self.details = details
        self.stack = stack

    def __str__(self) -> str:
        return f"{self.type}: {self.args[0]}"


class Unwound(BaseException):
    """Unwinds a handler whose run goes on elsewhere or later (suspended, lease lost).

    No ``except Exception`` sees it. Code that does must let it pass: the context answers every further call with it.
    """


def _quote(text: str) -> str:
    return json.dumps(f"{text[:200]}..." if len(text) > 200 else text, ensure_ascii=False)
