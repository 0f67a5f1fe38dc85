"""What waits for the stream.

Everything of one turn of the session's loop leaves together: acceptances first, because ops stand under them; then ops,
many in a frame; releases last, because they end the leases of earlier ops.
"""

from __future__ import annotations

from collections.abc import Callable

from . import _frames as frames
from . import _limits as limits
from ._gen.lease_pb2 import Lease
from ._outbox import Outbox
from ._ports import FrameStream


class Sender:
    def __init__(self, defer: Callable[[Callable[[], None]], None]) -> None:
        self._defer = defer
        self.outbox = Outbox(self.plan)
        self.frame_ops_max = limits.FRAME_OPS_MAX_DEFAULT
        self._stream: FrameStream | None = None
        self._planned = False
        self._accepts: list[Lease] = []
        self._releases: dict[int, list[Lease]] = {}

    @property
    def idle(self) -> bool:
        """True when nothing waits."""
        return not self.outbox and not self._accepts and not self._releases

    def attach(self, stream: FrameStream | None) -> None:
        """Frames leave over this stream from now on; None: nothing leaves."""
        self._stream = stream
        if stream is None:
            # Hello speaks for both: what it lists is accepted, what it does not list is released.
            self._accepts.clear()
            self._releases.clear()
        else:
            self.plan()

    def accept(self, lease: Lease) -> None:
        if self._stream is not None:
            self._accepts.append(lease)
            self.plan()

    def release(self, lease: Lease, retry_after_ms: int) -> None:
        if self._stream is not None:
            self._releases.setdefault(retry_after_ms, []).append(lease)
            self.plan()

    def plan(self) -> None:
        if not self._planned:
            self._planned = True
            self._defer(self._turn)

    def _turn(self) -> None:
        self._planned = False
        self.flush()

    def flush(self) -> None:
        stream = self._stream
        if stream is None:
            return
        if self._accepts:
            stream.send(frames.accept_frame(self._accepts))
            self._accepts.clear()
        # While the transport is busy ops gather here, and leave in fewer frames.
        while self.outbox and stream.waiting_frames < limits.FRAMES_AHEAD_MAX:
            stream.send(frames.ops_frame(self.outbox.take(self.frame_ops_max, limits.FRAME_BYTES_MAX)))
        if self.outbox:
            return
        for retry_after_ms, leases in self._releases.items():
            stream.send(frames.release_frame(leases, retry_after_ms))
        self._releases.clear()
