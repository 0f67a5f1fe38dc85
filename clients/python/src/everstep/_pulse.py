"""The heartbeat of a stream: beats at the server's interval, and a stream on which nothing is heard is dropped."""

from __future__ import annotations

from collections.abc import Callable

from . import _limits as limits
from ._gen.worker_service_pb2 import SessionSettings
from ._ports import Clock, TimerHandle


class Pulse:
    def __init__(self, clock: Clock, *, beat: Callable[[int], None], silent: Callable[[float], None]) -> None:
        self._clock = clock
        self._beat = beat
        self._silent = silent
        self._beat_seq = 0
        self._interval_ms = 0.0
        self._last_frame_at_ms = 0.0
        self._beat_timer: TimerHandle | None = None
        self._watchdog: TimerHandle | None = None

    def opened(self) -> None:
        """Hello is out: Welcome must come in time."""
        self.heard()
        self._watch(limits.WELCOME_TIMEOUT_MS)

    def welcomed(self, settings: SessionSettings) -> None:
        """Beats at once, which confirms what was kept, and from then on at the interval."""
        self._watch(watchdog_ms(settings))
        self._interval_ms = settings.beat_interval_ms or limits.WATCHDOG_MS_DEFAULT / 2.5
        self._next_beat()

    def heard(self) -> None:
        self._last_frame_at_ms = self._clock.now_ms()

    def stop(self) -> None:
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        if self._watchdog is not None:
            self._watchdog.cancel()

    def _next_beat(self) -> None:
        self._beat_seq += 1
        self._beat_timer = self._clock.set_timer(self._interval_ms, self._next_beat)
        self._beat(self._beat_seq)

    def _watch(self, timeout_ms: float) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        left_ms = self._last_frame_at_ms + timeout_ms - self._clock.now_ms()
        self._watchdog = self._clock.set_timer(max(1, left_ms), lambda: self._look(timeout_ms))

    def _look(self, timeout_ms: float) -> None:
        if self._clock.now_ms() - self._last_frame_at_ms < timeout_ms:
            self._watch(timeout_ms)
        else:
            self._silent(timeout_ms)


def watchdog_ms(settings: SessionSettings) -> int:
    """Without any frame for this long the stream is dropped; a lease is trusted for as long."""
    return settings.watchdog_ms or limits.WATCHDOG_MS_DEFAULT
