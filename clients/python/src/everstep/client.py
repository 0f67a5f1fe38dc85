"""Starts, watches and steers runs."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

import grpc.aio

from . import _limits as limits
from ._calls import answer_of, call_with_retry
from ._connection import END_OF_STREAM, Connection
from ._gen import run_service_pb2 as service
from ._gen.event_pb2 import Event
from ._gen.run_service_pb2_grpc import RunServiceStub
from ._io_thread import IoThread
from ._outage import Outage
from ._ports import system_new_id
from .codec import JsonCodec, PayloadCodec, encode_optional, encode_payload
from .durations import Duration, milliseconds_of, seconds_of
from .errors import CancelledError, FailureInfo, ResultTimeoutError, RunFailedError, RunTerminatedError
from .failure import to_error, to_failure
from .run_handle import RunHandle
from .run_info import RunInfo, RunStatusName, status_number, to_run_info
from .workflow import Workflow

Input = TypeVar("Input")
Output = TypeVar("Output")


@dataclass(frozen=True)
class Complete:
    """The uncertain step did happen; this is its output."""

    output: Any = None


@dataclass(frozen=True)
class Fail:
    """The uncertain step failed for good, with this error."""

    error: BaseException


Resolution = Literal["repeat"] | Complete | Fail
"""What became of a step whose effect is uncertain."""


class Client:
    """Starts, watches and steers runs. Every call may be repeated and is, while the server cannot be reached.

    May be used from any loop. It connects at its first call and ends with ``close`` or ``async with``. What the server
    refuses is raised as CallRefusedError.

    :param address: for example "http://127.0.0.1:7420"; default: EVERSTEP_ADDRESS, else that one.
    :param api_key: default: EVERSTEP_API_KEY, else none.
    :param tls_ca_file: certificates to trust, for a server with a certificate of its own.
    :param namespace: default: "default".
    :param codec: how values become payloads; default: JSON.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        tls_ca_file: str | os.PathLike[str] | None = None,
        namespace: str = "",
        codec: PayloadCodec | None = None,
    ) -> None:
        self._connection = Connection(address, api_key, tls_ca_file)
        self._io = IoThread()
        self._namespace = namespace
        self._codec = codec or JsonCodec()
        self._closed = False

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection and every call on it."""
        self._closed = True
        await self._io.run(self._connection.close())
        self._io.release()

    def _is_closed(self) -> bool:
        return self._closed

    async def _call(self, method: str, request: Any) -> Any:
        call = partial(self._call_once, method, request, limits.CALL_TIMEOUT)
        return await answer_of(self._io.run(call_with_retry(call, self._is_closed)))

    async def _call_once(self, method: str, request: Any, timeout: float) -> Any:
        """On the network thread."""
        stub = RunServiceStub(self._connection.channel())  # type: ignore[no-untyped-call]
        return await getattr(stub, method)(request, metadata=self._connection.metadata, timeout=timeout)

    @overload
    async def start(
        self,
        workflow: Workflow[Input, Output],
        input: Input | None = None,
        *,
        run_id: str | None = None,
        run_key: str = "",
        queue: str = "",
        priority: int | None = None,
        start_delay: Duration = 0,
        run_timeout: Duration = 0,
        request_id: str | None = None,
    ) -> RunHandle[Output]: ...

    @overload
    async def start(
        self,
        workflow: str,
        input: Any = None,
        *,
        run_id: str | None = None,
        run_key: str = "",
        queue: str = "",
        priority: int | None = None,
        start_delay: Duration = 0,
        run_timeout: Duration = 0,
        request_id: str | None = None,
    ) -> RunHandle[Any]: ...

    async def start(
        self,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,
        *,
        run_id: str | None = None,
        run_key: str = "",
        queue: str = "",
        priority: int | None = None,
        start_delay: Duration = 0,
        run_timeout: Duration = 0,
        request_id: str | None = None,
    ) -> RunHandle[Any]:
        """Starts a run. With the same ``run_id`` and ``request_id`` it returns the run that is there.

        :param run_id: chosen by the caller to make starts idempotent over processes; default: a new UUIDv7.
        :param run_key: business key: at most one open run for it.
        :param queue: default: "default".
        :param priority: 0 (most urgent) to 9; default 5.
        :param run_timeout: the run fails with type "RunTimeout" this long after its start; default: never.
        :param request_id: the same request has one effect; default: a new one, kept over the repeats of this call.
        """
        request = service.StartRunRequest(
            namespace=self._namespace,
            workflow=workflow if isinstance(workflow, str) else workflow.name,
            run_id=run_id or system_new_id(),
            run_key=run_key,
            queue=queue,
            input=encode_optional(self._codec, input),
            priority=priority,
            start_delay_ms=milliseconds_of("start_delay", start_delay),
            run_timeout_ms=milliseconds_of("run_timeout", run_timeout),
            request_id=request_id or system_new_id(),
        )
        response = await self._call("StartRun", request)
        return RunHandle(self, response.run.run_id or request.run_id, response.already_started)

    def handle(self, run_id: str) -> RunHandle[Any]:
        """A handle for a run that was started elsewhere; asks the server nothing."""
        return RunHandle(self, run_id, True)

    async def get(self, run_id: str) -> RunInfo:
        request = service.GetRunRequest(namespace=self._namespace, run_id=run_id)
        return self._info(await self._call("GetRun", request))

    async def list(
        self,
        *,
        workflow: str = "",
        queue: str = "",
        run_key: str = "",
        statuses: Sequence[RunStatusName] = (),
        page_size: int = 0,
    ) -> AsyncGenerator[RunInfo, None]:
        """All matching runs, newest first, without payloads; fetches pages (of 100) as they are needed."""
        request = service.ListRunsRequest(
            filter=service.RunFilter(
                namespace=self._namespace,
                workflow=workflow,
                queue=queue,
                run_key=run_key,
                statuses=[status_number(status) for status in statuses],  # type: ignore[misc]
            ),
            page_size=page_size,
        )
        while True:
            page = await self._call("ListRuns", request)
            for run in page.runs:
                yield to_run_info(run, self._codec)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def result(self, run_id: str, *, timeout: Duration | None = None) -> Any:
        """Waits until the run has ended and returns its output.

        Raises RunFailedError with the failure and its causes, CancelledError, RunTerminatedError, or
        ResultTimeoutError when ``timeout`` (default: none) is over. Goes on over an outage of the server until then, or
        until the task is cancelled; what the server refuses (RUN_NOT_FOUND, PERMISSION_DENIED) is raised at once.
        """
        loop = asyncio.get_running_loop()
        seconds = None if timeout is None else seconds_of("timeout", timeout)
        end_at = None if seconds is None else loop.time() + seconds
        outage = Outage(self._is_closed)
        while True:
            left = None if end_at is None else max(0.001, end_at - loop.time())
            try:
                info = await self._wait(run_id, limits.WAIT_PIECE if left is None else min(limits.WAIT_PIECE, left))
            except grpc.aio.AioRpcError as error:
                await outage.outlast(error, left)
            else:
                outage.ended()
                if info.is_ended:
                    return _output_of(info)
            if end_at is not None and seconds is not None and loop.time() >= end_at:
                raise ResultTimeoutError(run_id, seconds)

    async def _wait(self, run_id: str, seconds: float) -> RunInfo:
        request = service.WaitRunRequest(
            namespace=self._namespace, run_id=run_id, timeout_ms=math.ceil(seconds * 1_000)
        )
        call = self._call_once("WaitRun", request, seconds + limits.WAIT_OVERDUE)
        return self._info(await answer_of(self._io.run(call)))

    async def signal(self, run_id: str, name: str, payload: Any = None, *, request_id: str | None = None) -> int:
        """Sends a message to an open run; returns its number."""
        request = service.SignalRunRequest(
            namespace=self._namespace,
            run_id=run_id,
            name=name,
            payload=encode_optional(self._codec, payload),
            request_id=request_id or system_new_id(),
        )
        signal_id: int = (await self._call("SignalRun", request)).signal_id
        return signal_id

    async def cancel(self, run_id: str, *, reason: str = "", grace: Duration | None = None) -> RunInfo:
        """Asks a run to end; it ends CANCELLED at the latest when the grace (default 30 s) is over."""
        request = service.CancelRunRequest(
            namespace=self._namespace, run_id=run_id, reason=reason, grace_ms=_grace_ms(grace)
        )
        return self._info(await self._call("CancelRun", request))

    async def terminate(self, run_id: str, *, reason: str = "") -> RunInfo:
        """Ends a run at once, without asking the worker."""
        request = service.TerminateRunRequest(namespace=self._namespace, run_id=run_id, reason=reason)
        return self._info(await self._call("TerminateRun", request))

    async def pause(self, run_id: str, *, reason: str = "", grace: Duration | None = None) -> RunInfo:
        """Sets a run aside; a leased one finishes its running steps within the grace (default 30 s) first."""
        request = service.PauseRunRequest(
            namespace=self._namespace, run_id=run_id, reason=reason, grace_ms=_grace_ms(grace)
        )
        return self._info(await self._call("PauseRun", request))

    async def resume(self, run_id: str, *, resolution: Resolution | None = None) -> RunInfo:
        """Lets a paused run go on; one paused for an uncertain effect needs a resolution."""
        request = service.ResumeRunRequest(
            namespace=self._namespace, run_id=run_id, resolution=self._resolution(resolution)
        )
        return self._info(await self._call("ResumeRun", request))

    async def retry(self, run_id: str, *, reason: str = "", request_id: str | None = None) -> RunInfo:
        """Opens a FAILED run again; only the steps whose failure ended it run again."""
        request = service.RetryRunRequest(
            namespace=self._namespace, run_id=run_id, reason=reason, request_id=request_id or system_new_id()
        )
        return self._info(await self._call("RetryRun", request))

    async def explain(self, run_id: str) -> service.ExplainRunResponse:
        """What a run waits for, in words (``text``) and as data."""
        request = service.ExplainRunRequest(namespace=self._namespace, run_id=run_id)
        response: service.ExplainRunResponse = await self._call("ExplainRun", request)
        return response

    async def watch(self, run_id: str, *, after_seq: int = 0) -> AsyncGenerator[Event, None]:
        """Every event of a run in order, past ones first; ends after the run has ended.

        After a cut, and over an outage of the server, it goes on behind the last event that was seen.

        :param after_seq: only events with a higher seq.
        """
        outage = Outage(self._is_closed)
        while True:
            request = service.WatchRunRequest(namespace=self._namespace, run_id=run_id, after_seq=after_seq)

            async def open(request: service.WatchRunRequest = request) -> Any:
                stub = RunServiceStub(self._connection.channel())  # type: ignore[no-untyped-call]
                return stub.WatchRun(request, metadata=self._connection.metadata)

            call = await self._io.run(open())
            try:
                while (message := await answer_of(self._io.run(_read(call)))) is not END_OF_STREAM:
                    outage.ended()
                    for event in message.events:
                        after_seq = event.seq
                        yield event
                return
            except grpc.aio.AioRpcError as error:
                failure = error
            finally:
                if not self._closed:  # else it has ended with its channel, and the network thread may be gone
                    await self._io.run(_abandon(call))
            await outage.outlast(failure)

    def _info(self, response: Any) -> RunInfo:
        return to_run_info(response.run, self._codec)

    def _resolution(self, resolution: Resolution | None) -> service.Resolution | None:
        if resolution is None:
            return None
        if isinstance(resolution, Complete):
            verdict = service.Resolution()
            verdict.complete.SetInParent()
            payload = encode_payload(self._codec, resolution.output)
            if payload is not None:
                verdict.complete.CopyFrom(payload)
            return verdict
        if isinstance(resolution, Fail):
            return service.Resolution(fail=to_failure(resolution.error))
        return service.Resolution(repeat=service.RepeatStep())


async def _read(call: Any) -> Any:
    return await call.read()


async def _abandon(call: Any) -> None:
    """grpc keeps what belongs to a call until it was cancelled and its end awaited."""
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call.code()


def _grace_ms(grace: Duration | None) -> int | None:
    return None if grace is None else milliseconds_of("grace", grace)


def _output_of(run: RunInfo) -> Any:
    match run.status:
        case "FAILED":
            failure = run.failure or FailureInfo(type="Unknown")
            raise RunFailedError(run.run_id, failure) from to_error(failure)
        case "CANCELLED":
            raise CancelledError(run.run_id)
        case "TERMINATED":
            raise RunTerminatedError(run.run_id)
        case _:
            return run.output
