"""The workflow ``program`` of the wire driver: its input says what it does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from typing import Any

from everstep import (
    EverstepError,
    FailureInfo,
    NonRetryableError,
    RemoteError,
    RetryAfterError,
    RetryOptions,
    RunFailedError,
    StepAttempt,
    StepFailedError,
    Unwound,
    Workflow,
    WorkflowContext,
    current_attempt,
    workflow,
)

Say = Callable[[dict[str, Any]], None]


def to_error(fail: dict[str, Any]) -> Exception:
    """The error that the SDK stores with exactly this type, message, details and cause."""
    error: Exception
    if "retryAfterMs" in fail:
        error = RetryAfterError(fail["message"], fail["retryAfterMs"] / 1_000)
    elif fail.get("nonRetryable"):
        error = NonRetryableError(fail["message"], type=fail["type"], details=fail.get("details"))
    else:
        error = type(fail["type"], (Exception,), {"details": fail.get("details")})(fail["message"])
    if "cause" in fail:
        error.__cause__ = to_error(fail["cause"])
    return error


def error_of(error: BaseException) -> dict[str, Any]:
    """How the driver tells of an error."""
    if isinstance(error, StepFailedError):
        told = {"reason": error.reason, "stepKey": error.step_key, "attempts": error.attempts}
        return {**told, "cause": _stored(error.failure)}
    if isinstance(error, RunFailedError):
        return {"reason": error.reason, "cause": _stored(error.failure)}
    if isinstance(error, EverstepError) and not isinstance(error, (RemoteError, NonRetryableError)):
        return {"reason": error.reason, "message": str(error)}
    kind = error.type if isinstance(error, (RemoteError, NonRetryableError)) else type(error).__name__
    told = {"type": kind, "message": str(error.args[0]) if error.args else ""}
    if getattr(error, "details", None) is not None:
        told["details"] = error.details  # type: ignore[attr-defined]
    if error.__cause__ is not None:
        told["cause"] = error_of(error.__cause__)
    return told


def _stored(failure: FailureInfo) -> dict[str, Any]:
    told: dict[str, Any] = {"type": failure.type, "message": failure.message}
    if failure.details is not None:
        told["details"] = failure.details
    if failure.cause is not None:
        told["cause"] = _stored(failure.cause)
    return told


class Holds:
    """Step functions that wait for the command ``finish``. The newest hold of a step is the one that it lets go."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], tuple[concurrent.futures.Future[Any], Any]] = {}

    def open(self, run: str, key: str, otherwise: Any) -> concurrent.futures.Future[Any]:
        held: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._open[run, key] = held, otherwise
        return held

    def drop(self, run: str, key: str, held: concurrent.futures.Future[Any]) -> None:
        if self._open.get((run, key), (None,))[0] is held:
            del self._open[run, key]

    def finish(self, run: str, key: str, how: dict[str, Any]) -> bool:
        held, otherwise = self._open.pop((run, key), (None, None))
        if held is None:
            return False
        if "fail" in how:
            held.set_exception(to_error(how["fail"]))
        else:
            held.set_result(how.get("result", otherwise))
        return True


def program_of(holds: Holds, say: Say) -> Workflow[dict[str, Any], list[Any]]:
    @workflow(name="program")
    async def program(ctx: WorkflowContext, input: dict[str, Any]) -> list[Any]:
        say({"fact": "begin", "run": ctx.run_id, "token": ctx.fencing_token})
        try:
            values = await _Program(ctx, holds, say).all(input["do"])
        except Unwound:
            raise
        except BaseException as error:
            say({"fact": "end", "run": ctx.run_id, "ok": False, "error": error_of(error)})
            raise
        say({"fact": "end", "run": ctx.run_id, "ok": True})
        return values

    return program


class _Program:
    def __init__(self, ctx: WorkflowContext, holds: Holds, say: Say) -> None:
        self._ctx = ctx
        self._holds = holds
        self._say = say

    async def all(self, instructions: list[dict[str, Any]]) -> list[Any]:
        return [await self._one(instruction) for instruction in instructions]

    async def _one(self, instruction: dict[str, Any]) -> Any:
        ctx = self._ctx
        match instruction["op"]:
            case "step":
                return await self._step(instruction)
            case "sleep":
                await ctx.sleep(instruction["key"], instruction["ms"] / 1_000)
                return None
            case "signal":
                timeout = instruction.get("timeoutMs")
                seconds = None if timeout is None else timeout / 1_000
                value = await ctx.signal(instruction["name"], key=instruction.get("key"), timeout=seconds)
                return {"timedOut": True} if value is None else value
            case "parallel":
                branches = (self.all(branch) for branch in instruction["branches"])
                ends = await asyncio.gather(*branches, return_exceptions=True)
                for end in ends:
                    if isinstance(end, BaseException):
                        raise end
                return ends
            case "loop":
                return [await self.all(instruction["do"]) for _ in range(instruction["times"])]
            case "catch":
                try:
                    return {"ok": await self.all(instruction["do"])}
                except Exception as error:
                    caught = error_of(error)
                    self._say({"fact": "caught", "run": ctx.run_id, "error": caught})
                    return {"caught": caught}
            case "fail":
                raise to_error(instruction)
            case "value":
                return instruction["value"]
            case "fact":
                return self._fact(instruction["of"])
            case other:
                raise ValueError(f"no instruction {other}")

    def _fact(self, of: str) -> Any:
        ctx = self._ctx
        return {
            "runId": ctx.run_id,
            "runKey": ctx.run_key,
            "namespace": ctx.namespace,
            "workflow": ctx.workflow,
            "fencingToken": ctx.fencing_token,
            "stepKeys": ctx.step_keys,
        }[of]

    async def _step(self, instruction: dict[str, Any]) -> Any:
        def plain() -> Any:
            attempt = self._begin(instruction)
            return self._hold_thread(instruction, attempt) if instruction.get("hold") else _end(instruction, attempt)

        async def asynchronous() -> Any:
            attempt = self._begin(instruction)
            return await self._hold(instruction, attempt) if instruction.get("hold") else _end(instruction, attempt)

        timeout = instruction.get("timeoutMs")
        return await self._ctx.step(
            instruction["key"],
            plain if instruction.get("plain") else asynchronous,
            retry=_retry_of(instruction.get("retry")),
            timeout=None if timeout is None else timeout / 1_000,
            at_most_once=instruction.get("atMostOnce", False),
            input=instruction.get("input"),
        )

    def _begin(self, instruction: dict[str, Any]) -> StepAttempt:
        attempt = current_attempt()
        said = {"run": attempt.run_id, "key": attempt.step_key, "attempt": attempt.attempt}
        self._say({"fact": "step", **said, "token": attempt.fencing_token})
        end_at = time.monotonic() + instruction.get("busyMs", 0) / 1_000
        while time.monotonic() < end_at:
            pass
        return attempt

    async def _hold(self, instruction: dict[str, Any], attempt: StepAttempt) -> Any:
        held = self._holds.open(attempt.run_id, attempt.step_key, instruction.get("result"))
        while True:
            try:
                return await asyncio.shield(asyncio.wrap_future(held))
            except asyncio.CancelledError:
                self._aborted(attempt)
                if not instruction.get("stubborn"):
                    self._holds.drop(attempt.run_id, attempt.step_key, held)
                    raise

    def _hold_thread(self, instruction: dict[str, Any], attempt: StepAttempt) -> Any:
        held = self._holds.open(attempt.run_id, attempt.step_key, instruction.get("result"))
        said = False
        while True:
            try:
                return held.result(0.02)
            except concurrent.futures.TimeoutError:
                if not attempt.cancelled or said:
                    continue
            said = True
            self._aborted(attempt)
            if not instruction.get("stubborn"):
                self._holds.drop(attempt.run_id, attempt.step_key, held)
                attempt.raise_if_cancelled()

    def _aborted(self, attempt: StepAttempt) -> None:
        reason = attempt.cancel_reason
        told = "unknown" if reason is None else reason.reason
        self._say({"fact": "aborted", "run": attempt.run_id, "key": attempt.step_key, "reason": told})


def _end(instruction: dict[str, Any], attempt: StepAttempt) -> Any:
    if "fail" in instruction and attempt.attempt <= instruction.get("failAttempts", attempt.attempt):
        raise to_error(instruction["fail"])
    if "resultOf" in instruction:
        return {
            "attempt": attempt.attempt,
            "fencingToken": attempt.fencing_token,
            "idempotencyKey": attempt.idempotency_key,
            "runId": attempt.run_id,
            "stepKey": attempt.step_key,
        }[instruction["resultOf"]]
    if "bytes" in instruction:
        return "x" * (instruction["bytes"] - 2)
    return instruction.get("result")


def _retry_of(retry: dict[str, Any] | None) -> RetryOptions | None:
    if retry is None:
        return None
    names = {
        "maxAttempts": "max_attempts",
        "factor": "factor",
        "backoff": "backoff",
        "jitter": "jitter",
        "nonRetryableTypes": "non_retryable_types",
    }
    delays = {"initialDelayMs": "initial_delay", "maxDelayMs": "max_delay", "maxElapsedMs": "max_elapsed"}
    options: dict[str, Any] = {names[name]: value for name, value in retry.items() if name in names}
    options.update({delays[name]: value / 1_000 for name, value in retry.items() if name in delays})
    if "delaysMs" in retry:
        options["delays"] = [delay / 1_000 for delay in retry["delaysMs"]]
    return RetryOptions(**options)
