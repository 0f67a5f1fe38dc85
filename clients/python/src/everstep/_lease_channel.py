"""The session's end of one lease: its ops, what was heard of it, and whether it still counts. Its other end is a
LeaseRun on the user's loop, which is told everything through the crossing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from . import _limits as limits
from ._crossing import Crossing
from ._gen.lease_pb2 import Lease
from ._gen.worker_service_pb2 import Assignment, JournalEntry, Notice
from ._op_pipe import OpPipe
from ._outbox import Outbox
from ._ports import Clock, Log, SessionPorts

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


class ChannelHost(Protocol):
    """What a channel needs from its session."""

    @property
    def ports(self) -> SessionPorts: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def crossing(self) -> Crossing: ...

    @property
    def log(self) -> Log: ...

    def release(self, lease: Lease, retry_after_ms: int) -> None:
        """The lease goes back to its line."""

    def ended(self, channel: LeaseChannel) -> None:
        """The lease is held no longer."""


class LeaseChannel:
    def __init__(self, host: ChannelHost, assignment: Assignment, run: LeaseRun) -> None:
        self._host = host
        self.run = run
        self.lease = assignment.lease
        self.key = assignment.lease.lease_id
        self.run_id = assignment.lease.run_id
        self.notices_seen = assignment.journal_through
        self.complete = False
        """False while parts of the journal are still to come."""
        self.confirmed_at_ms = host.ports.clock.now_ms()
        """When the server last said that the lease lives, by our clock."""
        self.is_over = False
        self.pipe = OpPipe(assignment.lease, self)

    # PipeContext

    @property
    def outbox(self) -> Outbox:
        return self._host.outbox

    @property
    def clock(self) -> Clock:
        return self._host.ports.clock

    def random(self) -> float:
        return self._host.ports.random()

    def deliver(self, call: Callable[..., None], *args: Any) -> None:
        self._host.crossing.to_user(call, *args)

    def finished(self) -> None:
        self._end(flush=True)

    def abandon(self, why: str) -> None:
        if self.is_over:
            return
        self._host.log("error", f"run {self.run_id} is given back: {why}", {})
        self.release(limits.ABANDONED_RETRY_MS)
        self.deliver(self.run.lost, why)

    def lost(self, why: str) -> None:
        """The lease is gone: handlers stop, nothing more is sent."""
        if self.is_over:
            return
        self._end(flush=False)
        self.run.warn(why)
        self.deliver(self.run.lost, why)

    # From the session

    def add_journal(self, entries: Iterable[JournalEntry], continues: bool) -> None:
        if self.is_over or self.complete:
            return
        self.complete = not continues
        self.deliver(self.run.add_journal, entries, continues)

    def notice(self, notice: Notice) -> None:
        if self.is_over or notice.seq <= self.notices_seen:
            return
        self.notices_seen = notice.seq
        self.deliver(self.run.notice, notice)

    def stop(self) -> None:
        """The worker stops and cannot wait for the steps that still run."""
        if not self.is_over:
            self.release(0)
            self.deliver(self.run.lost, "the worker stops")

    # From the run

    def release(self, retry_after_ms: int) -> None:
        if not self.is_over:
            self._host.release(self.lease, retry_after_ms)
            self._end(flush=True)

    def _end(self, *, flush: bool) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.pipe.close(flush=flush)
        self._host.ended(self)
