"""A scripted server: a virtual clock, streams without a network, and answers that a test writes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from everstep import Worker, Workflow
from everstep._gen import change_pb2, payload_pb2, worker_service_pb2
from everstep._gen.change_pb2 import Change, Op, OpResult
from everstep._gen.lease_pb2 import Lease
from everstep._gen.worker_service_pb2 import (
    Assignment,
    Hello,
    JournalEntry,
    Notice,
    ServerFrame,
    SessionRequest,
    WorkerFrame,
)
from everstep._ports import Clock, FrameStream, StreamEvents

T = TypeVar("T")


async def turns(count: int = 10) -> None:
    """Lets everything run that is ready."""
    for _ in range(count * 10):
        await asyncio.sleep(0)


class _Timer:
    def __init__(self, clock: VirtualClock, at_ms: float, fire: Callable[[], None]) -> None:
        self.clock = clock
        self.at_ms = at_ms
        self.fire = fire

    def cancel(self) -> None:
        self.clock.timers.discard(self)


class VirtualClock:
    def __init__(self) -> None:
        self._now_ms = 0.0
        self.timers: set[_Timer] = set()

    def now_ms(self) -> float:
        return self._now_ms

    def set_timer(self, delay_ms: float, fire: Callable[[], None]) -> _Timer:
        timer = _Timer(self, self._now_ms + delay_ms, fire)
        self.timers.add(timer)
        return timer

    def jump(self, ms: float) -> None:
        """Time passes, and no timer rings yet: the process stood still."""
        self._now_ms += ms

    async def advance(self, ms: float) -> None:
        end_ms = self._now_ms + ms
        while due := [timer for timer in self.timers if timer.at_ms <= end_ms]:
            timer = min(due, key=lambda timer: timer.at_ms)
            self.timers.discard(timer)
            self._now_ms = max(self._now_ms, timer.at_ms)
            timer.fire()
            await turns(3)
        self._now_ms = end_ms
        await turns(3)


Answer = Callable[[Op, int], OpResult | None]
"""None: no answer comes."""


def applied(op: Op, index: int = 0) -> OpResult:
    result = OpResult()
    result.applied.SetInParent()
    for place, change in enumerate(op.changes):
        if change.WhichOneof("change") == "set_timer":
            timer = change_pb2.TimerPlanned(delay_ms=change.set_timer.delay_ms)
            result.applied.results.append(change_pb2.ChangeResult(index=place, timer=timer))
    return result


def outcome(**what: Any) -> OpResult:
    """Applied, with one thing to say about the first change."""
    return OpResult(applied=change_pb2.OpApplied(results=[change_pb2.ChangeResult(index=0, **what)]))


def refused(reason: int, **more: Any) -> OpResult:
    return OpResult(refused=change_pb2.OpRefusal(reason=reason, message=f"refused {reason}", **more))  # type: ignore[arg-type]


class _Stream:
    def __init__(self, peer: Peer, events: StreamEvents) -> None:
        self.peer = peer
        self.events = events
        self.waiting_frames = 0

    def send(self, request: SessionRequest) -> None:
        if self.peer.stream is self:
            self.peer.take(request.frame)

    def finish(self) -> None:
        asyncio.get_running_loop().call_soon(self.events.on_end, None)

    def abort(self) -> None:
        if self.peer.stream is self:
            self.peer.stream = None


class PeerPorts:
    """The session runs on the test's own loop."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.clock: Clock = peer.clock

    def random(self) -> float:
        return 0.5

    def new_id(self) -> str:
        return "instance-1"

    def defer(self, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(call)

    def open_stream(self, events: StreamEvents) -> FrameStream:
        self.peer.streams += 1
        self.peer.stream = _Stream(self.peer, events)
        return self.peer.stream

    def is_permanent(self, error: BaseException | None) -> bool:
        return self.peer.permanent

    def renew_transport(self) -> None:
        self.peer.renewals += 1

    async def close(self) -> None:
        self.peer.closed = True

    def post(self, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(call)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Awaitable[T]:
        return coroutine

    def user_clock(self, loop: asyncio.AbstractEventLoop) -> Clock:
        return self.peer.clock


class Peer:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.frames: list[WorkerFrame] = []
        self.answer: Answer = applied
        self.kept: Callable[[bytes], bool] = lambda lease_id: True
        self.settings = worker_service_pb2.SessionSettings(
            lease_ttl_ms=30_000, beat_interval_ms=10_000, watchdog_ms=25_000
        )
        self.streams = 0
        self.renewals = 0
        self.permanent = False
        self.closed = False
        self.silent = False
        self.deaf = False
        """It acknowledges no beat."""
        self.stream: _Stream | None = None
        self.worker: Worker
        self.logged: list[str] = []

    async def start(self, *workflows: Workflow[Any, Any], **options: Any) -> Worker:
        self.worker = Worker(
            workflows=workflows,
            log=lambda level, message, fields: self.logged.append(message),
            _ports=PeerPorts(self),
            **options,
        )
        await self.worker.start()
        await turns(3)
        return self.worker

    def send(self, **frame: Any) -> None:
        if self.stream is not None and not self.silent:
            self.stream.events.on_frame(ServerFrame(**frame))

    def cut(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.events.on_end(ConnectionError("cut"))

    def take(self, frame: WorkerFrame) -> None:
        self.frames.append(frame)
        soon = asyncio.get_running_loop().call_soon
        match frame.WhichOneof("frame"):
            case "hello":
                soon(self._welcome, frame.hello)
            case "beat" if not self.deaf:
                ack = worker_service_pb2.BeatAck(beat_seq=frame.beat.beat_seq)
                soon(lambda: self.send(beat_ack=ack))
            case "drain":
                soon(lambda: self.send(drain_ack=worker_service_pb2.DrainAck()))
            case "ops":
                soon(self._answer_ops, list(frame.ops.ops))

    def _welcome(self, hello: Hello) -> None:
        verdicts = [
            worker_service_pb2.Verdict(lease_id=held.lease.lease_id, kept=self.kept(held.lease.lease_id))
            for held in hello.held
        ]
        self.send(
            welcome=worker_service_pb2.Welcome(
                session_id="session-1", resume_token=b"1", settings=self.settings, verdicts=verdicts
            )
        )

    def _answer_ops(self, ops: list[Op]) -> None:
        results = []
        for index, op in enumerate(ops):
            result = self.answer(op, index)
            if result is not None:
                result.op_id = op.op_id
                result.lease_id = op.lease.lease_id
                results.append(result)
        if results:
            self.send(op_results=worker_service_pb2.OpResults(results=results))

    def assign(self, run: int, workflow: str, **more: Any) -> None:
        assignment = Assignment(
            lease=Lease(run_id=f"run-{run}", lease_id=lease_id_of(run), epoch=7),
            namespace="default",
            workflow=workflow,
            journal_through=2,
            **more,
        )
        self.send(assign=worker_service_pb2.Assign(assignments=[assignment]))

    def notice(self, run: int, seq: int, **what: Any) -> None:
        notice = Notice(lease_id=lease_id_of(run), seq=seq, **what)
        self.send(notices=worker_service_pb2.Notices(notices=[notice]))

    def ops(self) -> list[Op]:
        return [op for frame in self.frames if frame.WhichOneof("frame") == "ops" for op in frame.ops.ops]

    def changes(self) -> list[str]:
        """Every change that was sent, as "kind:key"."""
        return [name_of(change) for op in self.ops() for change in op.changes]

    def kinds(self) -> list[str | None]:
        return [frame.WhichOneof("frame") for frame in self.frames]

    def change(self, kind: str) -> Any:
        """The newest change of a kind, or None."""
        for op in reversed(self.ops()):
            for change in op.changes:
                if change.WhichOneof("change") == kind:
                    return getattr(change, kind)
        return None

    def output(self) -> Any:
        completion = self.change("complete_run")
        return None if completion is None else json.loads(completion.output.json)


def name_of(change: Change) -> str:
    kind = change.WhichOneof("change") or "none"
    key = getattr(getattr(change, kind), "step_key", None)
    return kind if key is None else f"{kind}:{key}"


def lease_id_of(run: int) -> bytes:
    return bytes([run]) * 16


def payload(value: Any) -> payload_pb2.Payload:
    return payload_pb2.Payload(json=json.dumps(value))


def completed(step_key: str, value: Any) -> JournalEntry:
    return JournalEntry(step_key=step_key, completed=worker_service_pb2.JournalCompleted(output=payload(value)))
