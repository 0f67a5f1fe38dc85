"""Ops of all leases that wait for the stream. They leave many in a frame: that is what makes the stream fast."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._op_pipe import OutgoingOp


class Outbox:
    def __init__(self, plan: Callable[[], None]) -> None:
        """``plan`` is called whenever there is something to send."""
        self._plan = plan
        self._queue: deque[OutgoingOp] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def enqueue(self, op: OutgoingOp) -> None:
        self._queue.append(op)
        self._plan()

    def remove(self, op: OutgoingOp) -> None:
        """Takes back an op that has not left. Rare: only after a refusal."""
        if op in self._queue:
            self._queue.remove(op)

    def take(self, ops_max: int, bytes_max: int) -> list[OutgoingOp]:
        """The ops of the next frame, oldest first, within both limits."""
        queue = self._queue
        taken: list[OutgoingOp] = []
        size = 0
        while queue and len(taken) < ops_max:
            size += queue[0].bytes
            if taken and size > bytes_max:
                break
            taken.append(queue.popleft())
        return taken

    def clear(self) -> None:
        """After a cut: everything that is not acknowledged is queued again by its pipe."""
        self._queue.clear()
