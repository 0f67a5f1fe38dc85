"""Runs workflows: connects, gets leases pushed, and goes on for ever until it is drained."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import _limits as limits
from ._connection import Connection
from ._crossing import Crossing
from ._gen.worker_service_pb2 import Assignment
from ._grpc_ports import GrpcPorts
from ._lease_run import LeaseRun, RunBody
from ._ports import Log, SessionPorts, stderr_log, system_identity
from ._session import Session, SessionOptions, SessionState
from ._step_threads import StepThreads
from ._version import SDK_NAME
from .codec import JsonCodec, PayloadCodec
from .durations import Duration, seconds_of
from .errors import InvalidArgumentError
from .step_context import WorkflowContext
from .workflow import Workflow


@dataclass(frozen=True, kw_only=True)
class WorkerHealth:
    """How a worker is doing, for a health endpoint."""

    connected: bool
    """True while the session is up."""
    session_state: SessionState
    session_id: str
    held: int
    """Runs that it works on."""
    capacity: int
    last_error: str | None
    """Why the last stream ended, until the next one is up."""


class Worker:
    """Runs workflows under leases that the server pushes.

    ``async with Worker(workflows=[order]):`` works while the block runs and drains at its end; ``await worker.run()``
    works until SIGTERM or SIGINT. Workflow code and async steps run on the loop that it was started on, plain step
    functions in threads, and the session on a loop and thread of its own: a step that blocks costs no lease.

    :param workflows: the workflows that it can run.
    :param address: for example "http://127.0.0.1:7420"; default: EVERSTEP_ADDRESS, else that one.
    :param api_key: default: EVERSTEP_API_KEY, else none.
    :param tls_ca_file: certificates to trust, for a server with a certificate of its own.
    :param queues: queues that it serves; default: "default".
    :param capacity: how many runs it works on at the same time; default 10. Suspended runs do not count.
    :param namespace: default: "default".
    :param codec: how values become payloads; default: JSON.
    :param identity: a name for people; default: "host/pid".
    :param build_id: version of the workflow code, shown to operators.
    :param threads_max: threads for plain step functions; default: the capacity, at least 4 and at most 256.
    :param log: default: warnings and errors to stderr.
    """

    def __init__(
        self,
        *,
        workflows: Sequence[Workflow[Any, Any]],
        address: str | None = None,
        api_key: str | None = None,
        tls_ca_file: str | os.PathLike[str] | None = None,
        queues: Sequence[str] = ("default",),
        capacity: int = limits.CAPACITY_DEFAULT,
        namespace: str = "",
        codec: PayloadCodec | None = None,
        identity: str | None = None,
        build_id: str = "",
        threads_max: int | None = None,
        log: Log = stderr_log,
        _ports: SessionPorts | None = None,
    ) -> None:
        self._bodies = _bodies_of(workflows)
        self._capacity = _check_capacity(capacity)
        if isinstance(queues, str) or not queues:
            raise InvalidArgumentError(f"queues is a list of at least one name, not {queues!r}")
        if threads_max is not None and threads_max < 1:
            raise InvalidArgumentError(f"threads_max is at least 1, not {threads_max}")
        self._threads_max = threads_max or min(max(capacity, limits.THREADS_MIN), limits.THREADS_MAX)
        self._queues = list(queues)
        self._namespace = namespace
        self._identity = identity
        self._build_id = build_id
        self._grpc_ports: GrpcPorts | None = None
        if _ports is None:
            _ports = self._grpc_ports = GrpcPorts(Connection(address, api_key, tls_ca_file))
        self._ports = _ports
        self.codec = codec or JsonCodec()
        self.log = log
        self.crossing: Crossing
        self.threads: StepThreads
        self._session: Session | None = None
        self._runs: set[LeaseRun] = set()
        self._end: asyncio.Future[None]
        self._drain: asyncio.Task[None] | None = None

    # What users call, on one loop.

    async def start(self) -> Worker:
        """Begins to work and returns; ``drain`` or ``close`` ends it."""
        if self._grpc_ports is not None:
            self._grpc_ports.io.check_process()
        if self._session is not None:
            return self
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        self.crossing = Crossing(self._ports, loop)
        self.threads = StepThreads(loop, self._threads_max)
        options = SessionOptions(
            instance_id=self._ports.new_id(),
            identity=self._identity or system_identity(),
            sdk=SDK_NAME,
            build_id=self._build_id,
            namespace=self._namespace,
            queues=self._queues,
            bodies={name: self._maker(body) for name, body in self._bodies.items()},
            capacity=self._capacity,
            log=self.log,
        )

        async def open() -> Session:
            session = Session(self._ports, self.crossing, options)
            session.start()
            return session

        self._session = await self._ports.run(open())
        return self

    async def __aenter__(self) -> Worker:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    async def run(self) -> None:
        """Works until SIGTERM, SIGINT, ``drain`` or ``close``; a second signal ends it at once."""
        loop = asyncio.get_running_loop()
        signals = _watch_signals(loop, self._signalled)
        try:
            await self.start()
            await asyncio.shield(self._end)
        except asyncio.CancelledError:
            await self.drain(0)
            raise
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        loop = asyncio.get_running_loop()
        if self._drain is None:
            self._drain = loop.create_task(self._drain_session(limits.DRAIN_TIMEOUT_DEFAULT))
        else:
            self._closing = loop.create_task(self.close())

    async def drain(self, timeout: Duration = limits.DRAIN_TIMEOUT_DEFAULT) -> None:
        """Takes no more work, lets running steps finish, gives the runs back and ends.

        Steps that still run after ``timeout`` (default 30 s) are cancelled and run again elsewhere.
        """
        seconds = seconds_of("timeout", timeout)
        if self._grpc_ports is not None:
            self._grpc_ports.io.check_process()
        if self._drain is None:
            self._drain = asyncio.get_running_loop().create_task(self._drain_session(seconds))
        await asyncio.shield(self._drain)

    async def _drain_session(self, seconds: float) -> None:
        if self._session is not None:
            await self._ports.run(self._session.drain(seconds * 1_000))
        self._closed()

    async def close(self) -> None:
        """Ends at once: steps are cancelled, and their runs go on elsewhere when their leases have ended."""
        if self._session is not None:
            await self._ports.run(self._session.close())
        self._closed()

    def _closed(self) -> None:
        if self._session is None or self._end.done():
            return
        for run in list(self._runs):
            run.lost("the worker was closed")
        self.threads.close()
        if self._grpc_ports is not None:
            self._grpc_ports.io.release()
        self._end.set_result(None)

    def set_capacity(self, capacity: int) -> None:
        """Changes how many runs it works on at the same time; 0 takes no more."""
        self._capacity = _check_capacity(capacity)
        if self._session is not None:
            session = self._session
            self._ports.post(lambda: session.set_capacity(capacity))

    def health(self) -> WorkerHealth:
        session = self._session
        return WorkerHealth(
            connected=session is not None and session.connected,
            session_state="idle" if session is None else session.state,
            session_id="" if session is None else session.session_id,
            held=0 if session is None else session.held,
            capacity=self._capacity,
            last_error=None if session is None else session.last_error,
        )

    # RunHost

    @property
    def payload_bytes_max(self) -> int:
        return limits.PAYLOAD_BYTES_MAX_DEFAULT if self._session is None else self._session.payload_bytes_max

    def ended(self, run: LeaseRun) -> None:
        self._runs.discard(run)

    def _maker(self, body: RunBody) -> Any:
        def make(session: Session, assignment: Assignment) -> LeaseRun:
            run = LeaseRun(self, assignment, body)
            self._runs.add(run)
            return run

        return make


def _bodies_of(workflows: Sequence[Workflow[Any, Any]]) -> dict[str, RunBody]:
    bodies: dict[str, RunBody] = {}
    for flow in workflows:
        if not isinstance(flow, Workflow):
            raise InvalidArgumentError(f"{flow!r} is no workflow: decorate it with @workflow()")
        if flow.name in bodies:
            raise InvalidArgumentError(f"workflow {flow.name!r} is given twice")
        bodies[flow.name] = _body_of(flow)
    if not bodies:
        raise InvalidArgumentError("a worker needs at least one workflow")
    return bodies


def _body_of(flow: Workflow[Any, Any]) -> RunBody:
    async def body(run: LeaseRun, input: Any) -> Any:
        return await flow(WorkflowContext(run), input)

    return body


def _check_capacity(capacity: int) -> int:
    if isinstance(capacity, int) and not isinstance(capacity, bool) and 0 <= capacity <= limits.CAPACITY_MAX:
        return capacity
    raise InvalidArgumentError(f"capacity is a whole number from 0 to {limits.CAPACITY_MAX}, not {capacity!r}")


def _watch_signals(loop: asyncio.AbstractEventLoop, stop: Any) -> list[signal.Signals]:
    """Signals reach the main thread only, and not every platform lets a loop handle them."""
    if threading.current_thread() is not threading.main_thread():
        return []
    watched = []
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
            watched.append(number)
        except NotImplementedError:
            continue
    return watched
