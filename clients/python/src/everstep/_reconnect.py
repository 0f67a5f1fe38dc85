"""When the next stream is opened: soon and spread out, as the server says, or slowly when waiting does not heal it."""

from __future__ import annotations

from . import _limits as limits
from ._backoff import RECONNECT_BACKOFF, full_jitter_ms, slow_delay_ms
from ._gen.worker_service_pb2 import GoAway
from ._ports import SessionPorts


class Reconnect:
    def __init__(self, ports: SessionPorts) -> None:
        self._ports = ports
        self._failures = 0
        self._go_away: GoAway | None = None

    def succeeded(self) -> None:
        """The session is up."""
        self._failures = 0

    def told(self, go_away: GoAway) -> None:
        """The server told when to come back."""
        self._go_away = go_away

    def next_delay_ms(self, slow: bool) -> float:
        """A stream ended: how long to wait for the next one."""
        random = self._ports.random
        go_away, self._go_away = self._go_away, None
        self._failures += 1
        if self._failures % limits.FAILURES_PER_TRANSPORT == 0:
            self._ports.renew_transport()
        if slow:
            return slow_delay_ms(random)
        delay_ms = full_jitter_ms(self._failures, RECONNECT_BACKOFF, random)
        if go_away is None:
            return delay_ms
        return max(delay_ms, go_away.reconnect_after_ms + random() * go_away.jitter_ms)
