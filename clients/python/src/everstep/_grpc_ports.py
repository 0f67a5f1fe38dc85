"""The real ports of a session: the clock of the network thread, chance of the system, frames over a gRPC stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import grpc.aio

from ._connection import END_OF_STREAM, Connection, is_permanent
from ._gen.worker_service_pb2 import SessionRequest
from ._gen.worker_service_pb2_grpc import WorkerServiceStub
from ._io_thread import IoThread
from ._ports import Clock, FrameStream, LoopClock, StreamEvents, system_new_id, system_random

T = TypeVar("T")


class GrpcPorts:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.io = IoThread()
        self._streams: set[GrpcFrameStream] = set()
        self._clock: Clock | None = None

    @property
    def clock(self) -> Clock:
        if self._clock is None:
            self._clock = LoopClock(self.io.loop())
        return self._clock

    def random(self) -> float:
        return system_random()

    def new_id(self) -> str:
        return system_new_id()

    def defer(self, call: Callable[[], None]) -> None:
        self.io.loop().call_soon(call)

    def open_stream(self, events: StreamEvents) -> FrameStream:
        stub = WorkerServiceStub(self._connection.channel())  # type: ignore[no-untyped-call]
        stream = GrpcFrameStream(stub.Session(metadata=self._connection.metadata), events, self._streams.discard)
        self._streams.add(stream)
        return stream

    def is_permanent(self, error: BaseException | None) -> bool:
        return is_permanent(error)

    def renew_transport(self) -> None:
        self._connection.renew()

    async def close(self) -> None:
        for stream in list(self._streams):
            stream.abort()
            await stream.closed()
        await self._connection.close()

    def post(self, call: Callable[[], None]) -> None:
        self.io.post(call)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Awaitable[T]:
        return self.io.run(coroutine)

    def user_clock(self, loop: asyncio.AbstractEventLoop) -> Clock:
        return LoopClock(loop)


class GrpcFrameStream:
    """grpc keeps what belongs to a call until somebody has awaited its end, so each stream is cancelled and awaited."""

    def __init__(
        self,
        call: grpc.aio.StreamStreamCall[Any, Any],
        events: StreamEvents,
        gone: Callable[[GrpcFrameStream], None],
    ) -> None:
        self._call = call
        self._events = events
        self._waiting: deque[SessionRequest] = deque()
        self._woken = asyncio.Event()
        self._finished = False
        self._aborted = False
        loop = asyncio.get_running_loop()
        self._writer = loop.create_task(self._write())
        self._reader = loop.create_task(self._read())
        self._end = loop.create_task(self._await_end(gone))

    @property
    def waiting_frames(self) -> int:
        return len(self._waiting)

    def send(self, request: SessionRequest) -> None:
        if not self._finished and not self._aborted:
            self._waiting.append(request)
            self._woken.set()

    def finish(self) -> None:
        self._finished = True
        self._woken.set()

    def abort(self) -> None:
        if not self._aborted:
            self._aborted = True
            self._call.cancel()
            self._writer.cancel()
            self._woken.set()

    async def closed(self) -> None:
        await self._end

    async def _write(self) -> None:
        try:
            while True:
                while self._waiting:
                    await self._call.write(self._waiting.popleft())
                if self._finished:
                    await self._call.done_writing()
                    return
                self._events.on_writable()
                self._woken.clear()
                if not self._waiting and not self._finished:
                    await self._woken.wait()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the stream is over: the reader says why

    async def _read(self) -> None:
        error: BaseException | None = None
        try:
            while True:
                response: Any = await self._call.read()
                if response is END_OF_STREAM:
                    break
                self._events.on_frame(response.frame)
                if self._aborted:
                    return
        except asyncio.CancelledError:
            error = None  # by ourselves or, as grpc reports some cuts, by the transport
        except Exception as raised:
            error = raised
        if not self._aborted:
            self._events.on_end(error)

    async def _await_end(self, gone: Callable[[GrpcFrameStream], None]) -> None:
        await asyncio.wait([self._reader])
        self._call.cancel()
        self._writer.cancel()
        await asyncio.wait([self._writer])
        with contextlib.suppress(asyncio.CancelledError):
            await self._call.code()
        gone(self)
