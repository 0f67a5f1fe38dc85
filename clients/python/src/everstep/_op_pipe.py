"""The ops of one lease, in order. Results come back in the order of the ops.

flowing: an op gets its id and goes to the outbox. After a refusal the server refuses all later ops of the lease
(PRECEDING_FAILED) until one acknowledges it, so the pipe is held: new ops are parked, ops in flight are awaited; when
none is left, what was refused for that reason or may succeed later goes out again, in order, and the first new id
acknowledges the refusal. The pipe flows again.

Lives on the session's loop. What it tells the run goes through ``deliver``, to the user's loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from . import _limits as limits
from ._backoff import BUSY_BACKOFF, full_jitter_ms
from ._gen import error_reason_pb2 as reasons
from ._gen.change_pb2 import Change, Op, OpApplied, OpRefusal, OpResult
from ._gen.lease_pb2 import Lease
from ._outbox import Outbox
from ._ports import Clock, TimerHandle

Adds = Literal["start", "timer", "signal", "result"]
"""What an op adds to the run."""


@dataclass(frozen=True)
class OpHandlers:
    """Run on the user's loop."""

    refused: Callable[[OpRefusal], None]
    """Refused for good: the pipe goes on without it."""
    applied: Callable[[OpApplied], None] | None = None
    preceding_failed: Callable[[], None] | None = None
    """An earlier op was refused. Without this the op is sent again as it is."""
    ends_lease: bool = False
    """When it is applied, the lease is over."""
    adds: Adds | None = None
    """Once one of its kind was refused because the run is being paused or its history is full, the pipe refuses the
    others by itself, in the server's words."""


class OutgoingOp:
    __slots__ = ("after_refused", "bytes", "changes", "handlers", "lease", "op_id", "sent")

    def __init__(self, lease: Lease, changes: Sequence[Change], size: int, handlers: OpHandlers) -> None:
        self.lease = lease
        self.changes = changes
        self.bytes = size + len(lease.run_id) + limits.OP_BYTES
        self.handlers = handlers
        self.op_id = 0
        self.after_refused = 0
        self.sent = False

    def leave(self, op: Op) -> None:
        """Writes itself into a frame."""
        self.sent = True
        op.op_id = self.op_id
        op.lease.CopyFrom(self.lease)
        op.changes.extend(self.changes)
        if self.after_refused:
            op.after_refused = self.after_refused


class PipeContext(Protocol):
    @property
    def outbox(self) -> Outbox: ...

    @property
    def clock(self) -> Clock: ...

    def random(self) -> float: ...

    def deliver(self, call: Callable[..., None], *args: Any) -> None:
        """Calls on the user's loop."""

    def finished(self) -> None:
        """An op that ends the lease is applied."""

    def lost(self, why: str) -> None:
        """The lease is gone."""

    def abandon(self, why: str) -> None:
        """Something that only a bug explains: give the run back and let a replay sort it out."""


class OpPipe:
    def __init__(self, lease: Lease, context: PipeContext) -> None:
        self._lease = lease
        self._context = context
        self._in_flight: list[OutgoingOp] = []
        self._parked: list[OutgoingOp] = []
        self._again: list[OutgoingOp] = []
        self._held = False
        self._renumber = False
        self._closed = False
        self._last_op_id = 0
        # The refusal that no op has acknowledged yet, and the newest one ever.
        self._unacknowledged = 0
        self._last_refused = 0
        self._busy_count = 0
        # Why the first of a kind was refused, once the run is being paused or its history is full. Every later one of
        # this lease would be, with a round trip for each and a refusal for all ops behind it: results, and the end of
        # the run, would wait for as many round trips.
        self._no_more: dict[Adds, OpRefusal] = {}
        self._pause: TimerHandle | None = None

    @property
    def last_refused_op_id(self) -> int:
        """For Hello: lets a restarted server refuse what it would have refused before."""
        return self._unacknowledged

    @property
    def flowing(self) -> bool:
        return not self._held

    def submit(self, changes: Sequence[Change], size: int, handlers: OpHandlers) -> None:
        if self._closed:
            return
        op = OutgoingOp(self._lease, changes, size, handlers)
        if self._refuses_itself(op):
            return
        if self._held:
            self._parked.append(op)
        else:
            self._send(op)

    def _refuses_itself(self, op: OutgoingOp) -> bool:
        """True for an op of a kind that the run takes no more of: it is not sent."""
        refusal = None if op.handlers.adds is None else self._no_more.get(op.handlers.adds)
        if refusal is None:
            return False
        self._context.deliver(op.handlers.refused, refusal)
        return True

    def _send(self, op: OutgoingOp) -> None:
        if op.op_id == 0:
            self._last_op_id += 1
            op.op_id = self._last_op_id
        if self._unacknowledged and op.op_id != self._unacknowledged:
            op.after_refused = self._unacknowledged
            self._unacknowledged = 0
        op.sent = False
        self._in_flight.append(op)
        self._context.outbox.enqueue(op)

    def resend(self) -> None:
        """After a resume: repeats are recognised by their op_id, so everything without a result is sent again."""
        for op in self._in_flight:
            op.sent = False
            self._context.outbox.enqueue(op)

    def settle(self, result: OpResult) -> None:
        op = next((op for op in self._in_flight if op.op_id == result.op_id), None)
        if op is None or self._closed:
            return  # a second result, after a resend
        self._in_flight.remove(op)
        case = result.WhichOneof("result")
        if case == "applied":
            if op.op_id == self._unacknowledged:
                self._unacknowledged = 0
            self._busy_count = 0
            if op.handlers.ends_lease:
                self._context.finished()
            if op.handlers.applied is not None:
                self._context.deliver(op.handlers.applied, result.applied)
        elif case == "refused":
            self._refuse(op, result.refused)
        else:
            self._context.abandon("an op result says neither applied nor refused")
        self._flow_if_settled()

    def _refuse(self, op: OutgoingOp, refusal: OpRefusal) -> None:
        reason = refusal.reason
        if refusal.lease_lost or reason in (reasons.ERROR_REASON_LEASE_LOST, reasons.ERROR_REASON_RUN_CLOSED):
            self._context.lost(refusal.message or "an op was refused")
        elif reason == reasons.ERROR_REASON_PRECEDING_FAILED:
            if not self._held:
                self._hold(self._last_refused, self._next_busy_delay_ms())
            if op.handlers.preceding_failed is not None:
                self._context.deliver(op.handlers.preceding_failed)
            else:
                self._again.append(op)
        elif reason == reasons.ERROR_REASON_OP_OUT_OF_ORDER:
            # An op that changed nothing leaves no trace, so its repeat after a resume may come too late: give it a new
            # id. Those behind it get new ids too, or they would come too late in turn.
            self._hold(op.op_id)
            self._renumber = True
            self._again.append(op)
        elif _is_transient(refusal):
            # Many that were refused together are one reason to wait, not many.
            waits = self._pause is not None
            self._hold(op.op_id, 0 if waits else max(refusal.retry_after_ms, self._next_busy_delay_ms()))
            self._again.append(op)
        elif reason in (reasons.ERROR_REASON_OP_CONFLICT, reasons.ERROR_REASON_INTERNAL):
            self._context.abandon(refusal.message)
        else:
            if op.handlers.adds is not None and _ends_its_kind(refusal):
                self._no_more[op.handlers.adds] = refusal
            self._hold(op.op_id)
            self._context.deliver(op.handlers.refused, refusal)

    def _next_busy_delay_ms(self) -> float:
        self._busy_count += 1
        return full_jitter_ms(self._busy_count, BUSY_BACKOFF, self._context.random)

    def _hold(self, refused_op_id: int, delay_ms: float = 0) -> None:
        self._unacknowledged = self._last_refused = refused_op_id
        self._held = True
        unsent = [op for op in self._in_flight if not op.sent]
        for op in unsent:
            self._context.outbox.remove(op)
        self._parked = [*unsent, *self._parked]
        self._in_flight = [op for op in self._in_flight if op.sent]
        if delay_ms == 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._context.clock.set_timer(delay_ms, self._pause_over)

    def _pause_over(self) -> None:
        self._pause = None
        self._flow_if_settled()

    def _flow_if_settled(self) -> None:
        if not self._held or self._in_flight or self._pause is not None or self._closed:
            return
        waiting = [*self._again, *self._parked]
        self._again = []
        self._parked = []
        self._held = False
        for op in waiting:
            if self._refuses_itself(op):
                continue
            if self._renumber:
                op.op_id = 0
            self._send(op)
        self._renumber = False

    def close(self, *, flush: bool) -> None:
        """The lease ended: nothing more is sent or heard. Ops in the outbox still leave if ``flush``."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        if not flush:
            for op in self._in_flight:
                if not op.sent:
                    self._context.outbox.remove(op)
        self._in_flight = []
        self._parked = []
        self._again = []


def _ends_its_kind(refusal: OpRefusal) -> bool:
    return refusal.reason in (reasons.ERROR_REASON_RUN_PAUSED, reasons.ERROR_REASON_HISTORY_LIMIT)


def _is_transient(refusal: OpRefusal) -> bool:
    """Refused now, welcome later, with nothing for the workflow to decide."""
    match refusal.reason:
        case reasons.ERROR_REASON_BUSY | reasons.ERROR_REASON_DISK_FULL | reasons.ERROR_REASON_SHUTTING_DOWN:
            return True
        case reasons.ERROR_REASON_NOTICES_PENDING | reasons.ERROR_REASON_RUN_PAUSED:
            return False
        case _:
            return refusal.retryable
