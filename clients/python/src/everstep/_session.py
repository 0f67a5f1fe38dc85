"""The session of a worker: one stream at a time, opened again for ever. Leases and their handlers outlive a stream;
after a cut Hello lists what is held, Welcome says what became of it, and everything without a result is sent again.

It lives on a loop and a thread of its own: whatever user code does, beats go out and frames are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from . import _frames as frames
from . import _limits as limits
from ._crossing import Crossing
from ._enum_name import enum_name
from ._gen import error_reason_pb2 as reasons
from ._gen.lease_pb2 import Lease
from ._gen.worker_service_pb2 import (
    Assign,
    Assignment,
    FrameRefused,
    GoAway,
    GoAwayReason,
    Hello,
    Resume,
    ServerFrame,
    SessionSettings,
    Welcome,
)
from ._lease_channel import LeaseChannel
from ._leases import Leases
from ._outbox import Outbox
from ._ports import FrameStream, Log, SessionPorts, TimerHandle
from ._pulse import Pulse, watchdog_ms
from ._reconnect import Reconnect
from ._sender import Sender

if TYPE_CHECKING:
    from ._lease_run import LeaseRun

SessionState = Literal["idle", "connecting", "active", "waiting", "draining", "closed"]
"""connecting: Hello is out; active: Welcome came; waiting: the next stream is opened after a pause."""

# Waiting does not heal these.
_SLOW_REASONS = frozenset(
    {
        reasons.ERROR_REASON_UNAUTHENTICATED,
        reasons.ERROR_REASON_VERSION_UNSUPPORTED,
        reasons.ERROR_REASON_INVALID,
        reasons.ERROR_REASON_PROTOCOL,
    }
)


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """Who the worker is and what it can do: what Hello says, and how a run is made."""

    instance_id: str
    identity: str
    sdk: str
    build_id: str
    namespace: str
    queues: Sequence[str]
    bodies: Mapping[str, Callable[[Session, Assignment], LeaseRun]]
    """Makes the run of a workflow, by its name."""
    capacity: int
    log: Log


class _Events:
    """One stream's events; those of a stream that was given up reach nobody."""

    def __init__(self, session: Session) -> None:
        self._session: Session | None = session

    def on_frame(self, frame: ServerFrame) -> None:
        if self._session is not None:
            self._session.receive(frame)

    def on_writable(self) -> None:
        if self._session is not None:
            self._session.writable()

    def on_end(self, error: BaseException | None) -> None:
        if self._session is not None:
            self._session.stream_ended(error)

    def drop(self) -> None:
        self._session = None


class Session:
    def __init__(self, ports: SessionPorts, crossing: Crossing, options: SessionOptions) -> None:
        self.ports = ports
        self.crossing = crossing
        self.log = options.log
        self._options = options
        self._capacity = options.capacity
        self._hello_capacity = 0
        """What the last Hello said."""
        self._sender = Sender(ports.defer)
        self._leases = Leases(self)
        self._comeback = Reconnect(ports)
        self._pulse = Pulse(ports.clock, beat=self._beat, silent=self._silent)
        self._stream: FrameStream | None = None
        self._events: _Events | None = None
        self._welcomed = False
        self._draining = False
        self._drain_acked = False
        self._closed = False
        self._resume: Resume | None = None
        self._settings = SessionSettings()
        self._reconnect: TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._stream_over: asyncio.Event | None = None
        self.last_error: str | None = None
        self.payload_bytes_max = limits.PAYLOAD_BYTES_MAX_DEFAULT

    # Read from other threads as they stand.

    @property
    def outbox(self) -> Outbox:
        return self._sender.outbox

    @property
    def state(self) -> SessionState:
        if self._closed:
            return "closed"
        if self._draining:
            return "draining"
        if self._welcomed:
            return "active"
        if self._stream is not None:
            return "connecting"
        return "idle" if self._reconnect is None else "waiting"

    @property
    def connected(self) -> bool:
        return self._welcomed

    @property
    def held(self) -> int:
        return len(self._leases)

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def session_id(self) -> str:
        return "" if self._resume is None else self._resume.session_id

    # From the worker, on the session's loop.

    def start(self) -> None:
        if self._stream is None and self._reconnect is None and not self._closed:
            self._connect()

    def set_capacity(self, capacity: int) -> None:
        self._capacity = capacity
        if self._welcomed and not self._draining and self._stream is not None:
            self._stream.send(frames.capacity_frame(capacity))

    async def drain(self, timeout_ms: float) -> None:
        """Takes no more work; ends when nothing is held, at the latest when the time is over, after a goodbye."""
        if self._closed:
            return
        self._emptied = asyncio.Event()
        if not self._draining:
            self._draining = True
            if self._welcomed and self._stream is not None:
                self._stream.send(frames.drain_frame())
        for channel in self._leases.all():
            self.crossing.to_user(channel.run.give_back)
        self._check_drained()
        await self._wait(self._emptied, timeout_ms)
        for channel in self._leases.all():
            channel.stop()
        self._sender.flush()
        if self._stream is not None and self._welcomed and not self._closed:
            self._stream_over = asyncio.Event()
            self._stream.send(frames.goodbye_frame())
            self._stream.finish()
            await self._wait(self._stream_over, limits.GOODBYE_TIMEOUT_MS)
        await self.close()

    async def close(self) -> None:
        """Ends at once, without a goodbye: what is held goes on elsewhere when its leases end."""
        if not self._closed:
            self._closed = True
            self._drop_stream()
            if self._reconnect is not None:
                self._reconnect.cancel()
            for channel in self._leases.all():
                channel.lost("the worker was closed")
            self._leases.close()
            if self._emptied is not None:
                self._emptied.set()
        await self.ports.close()

    async def _wait(self, event: asyncio.Event, timeout_ms: float) -> None:
        timer = self.ports.clock.set_timer(timeout_ms, event.set)
        await event.wait()
        timer.cancel()

    # ChannelHost

    def release(self, lease: Lease, retry_after_ms: int) -> None:
        self._sender.release(lease, retry_after_ms)

    def ended(self, channel: LeaseChannel) -> None:
        self._leases.remove(channel)
        if self._draining:
            self._check_drained()

    def _check_drained(self) -> None:
        if self._emptied is not None and not self._leases and (self._drain_acked or not self._welcomed):
            self._emptied.set()

    # The stream

    def _connect(self) -> None:
        self._reconnect = None
        events = self._events = _Events(self)
        try:
            stream = self.ports.open_stream(events)
        except Exception as error:
            self.stream_ended(error)
            return
        self._stream = stream
        self._pulse.opened()
        options = self._options
        self._hello_capacity = 0 if self._draining else self._capacity
        hello = Hello(
            protocol_version=frames.PROTOCOL_VERSION,
            worker_instance_id=options.instance_id,
            identity=options.identity,
            sdk=options.sdk,
            build_id=options.build_id,
            namespace=options.namespace,
            queues=options.queues,
            workflows=options.bodies,
            capacity=self._hello_capacity,
            resume=self._resume,
            held=self._leases.held(),
        )
        stream.send(frames.hello_frame(hello))

    def writable(self) -> None:
        if not self._sender.idle:
            self._sender.plan()

    def receive(self, frame: ServerFrame) -> None:
        self._pulse.heard()
        match frame.WhichOneof("frame"):
            case "op_results":
                self._leases.settle(frame.op_results)
            case "assign":
                self._assigned(frame.assign)
            case "journal_chunk":
                self._leases.chunk(frame.journal_chunk)
            case "notices":
                self._leases.notice(frame.notices.notices)
            case "beat_ack":
                self._leases.beat_acked(frame.beat_ack.beat_seq, frame.beat_ack.lost)
            case "revoke":
                self._leases.lost(frame.revoke.leases)
            case "welcome":
                self._welcome(frame.welcome)
            case "drain_ack":
                self._drain_acked = True
                self._check_drained()
            case "go_away":
                self._told_to_go(frame.go_away)
            case "ping":
                if self._stream is not None:
                    self._stream.send(frames.pong_frame(frame.ping.nonce))
            case "frame_refused":
                self._frame_refused(frame.frame_refused)
            case _:
                pass  # of a later version

    def _welcome(self, welcome: Welcome) -> None:
        self._welcomed = True
        self._comeback.succeeded()
        self.last_error = None
        self._resume = Resume(session_id=welcome.session_id, resume_token=welcome.resume_token)
        self._settings = welcome.settings
        if welcome.settings.payload_bytes_max:
            self.payload_bytes_max = welcome.settings.payload_bytes_max
        if welcome.settings.frame_ops_max:
            self._sender.frame_ops_max = welcome.settings.frame_ops_max
        self._leases.trust_ms = watchdog_ms(welcome.settings)
        self._sender.outbox.clear()
        self._sender.attach(self._stream)
        self._leases.judge(welcome.verdicts)
        self._pulse.welcomed(welcome.settings)
        if self._draining and self._stream is not None:
            self._stream.send(frames.drain_frame())
        elif self._capacity != self._hello_capacity and self._stream is not None:
            self._stream.send(frames.capacity_frame(self._capacity))

    def _assigned(self, assign: Assign) -> None:
        for assignment in assign.assignments:
            body = self._options.bodies.get(assignment.workflow)
            if body is None:
                self.log("error", f"assigned a workflow that is not here: {assignment.workflow}", {})
                self._sender.release(assignment.lease, limits.UNKNOWN_WORKFLOW_RETRY_MS)
            elif self._draining:
                self._sender.release(assignment.lease, 0)
            else:
                self._sender.accept(assignment.lease)
                if not self._leases.holds(assignment.lease.lease_id):
                    run = body(self, assignment)
                    channel = LeaseChannel(self, assignment, run)
                    run.channel = channel
                    self._leases.add(channel)
                    channel.add_journal(assignment.journal, assignment.journal_continues)

    def _told_to_go(self, go_away: GoAway) -> None:
        self._comeback.told(go_away)
        reason = enum_name(GoAwayReason, "GO_AWAY_REASON_", go_away.reason)
        self.log("info", f"the server ends the stream ({reason}): {go_away.message}", {})

    def _frame_refused(self, refused: FrameRefused) -> None:
        reason = enum_name(reasons.ErrorReason, "ERROR_REASON_", refused.reason)
        self.log("error", f"a frame was refused: {reason}: {refused.message} ({refused.field})", {})
        if refused.reason == reasons.ERROR_REASON_SESSION_UNKNOWN:
            self._resume = None
        self.stream_ended(f"{reason}: {refused.message}", slow=refused.reason in _SLOW_REASONS)

    def _beat(self, beat_seq: int) -> None:
        if self._stream is not None:
            self._stream.send(frames.beat_frame(beat_seq, self._leases.beat(beat_seq)))

    def _silent(self, timeout_ms: float) -> None:
        self.stream_ended(f"nothing was heard for {timeout_ms:g} ms")

    def stream_ended(self, error: BaseException | str | None, slow: bool | None = None) -> None:
        """The stream is over, whoever ended it."""
        if slow is None:
            slow = not isinstance(error, str) and self.ports.is_permanent(error)
        self._drop_stream()
        if self._closed:
            return
        if self._stream_over is not None:  # goodbye was said
            self._stream_over.set()
            return
        self._leases.drop_incomplete()
        if error is not None:
            self.last_error = _describe(error)
        delay_ms = self._comeback.next_delay_ms(slow)
        fields = {"error": self.last_error, "reconnectMs": round(delay_ms)}
        self.log("error" if slow else "warning", "the stream ended", fields)
        self._reconnect = self.ports.clock.set_timer(delay_ms, self._connect)
        if self._draining:
            self._check_drained()

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if self._events is not None:
            self._events.drop()
        self._welcomed = False
        self._pulse.stop()
        self._sender.attach(None)
        if stream is not None:
            stream.abort()


def _describe(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    details = getattr(error, "details", None)  # grpc's text, without its block of debugging facts
    code = getattr(error, "code", None)
    if callable(details) and callable(code):
        return f"{code().name}: {details()}"
    return str(error) or type(error).__name__
