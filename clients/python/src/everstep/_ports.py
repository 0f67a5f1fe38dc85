"""What a session needs from outside: time, chance, a network and the event loop.

Everything else gets them from here, so that a test can drive the same session under a virtual clock and a scripted
server.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from ._gen.worker_service_pb2 import ServerFrame, SessionRequest

T = TypeVar("T")

Log = Callable[[str, str, Mapping[str, Any]], None]
"""Level ("debug", "info", "warning" or "error"), message, fields. Called on any thread."""


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now_ms(self) -> float:
        """Milliseconds of a clock that never jumps."""

    def set_timer(self, delay_ms: float, fire: Callable[[], None]) -> TimerHandle: ...


class StreamEvents(Protocol):
    def on_frame(self, frame: ServerFrame) -> None: ...

    def on_writable(self) -> None:
        """The transport took everything that it was given."""

    def on_end(self, error: BaseException | None) -> None:
        """Called once, with the error if there was one. Nothing follows."""


class FrameStream(Protocol):
    """One stream of a session. It dies with its connection; the session opens another."""

    @property
    def waiting_frames(self) -> int:
        """Frames given earlier that still wait for the transport; ``on_writable`` follows when there is none."""

    def send(self, request: SessionRequest) -> None: ...

    def finish(self) -> None:
        """Half-close: the server ends its side when it has read everything."""

    def abort(self) -> None:
        """Ends both directions now; no event follows."""


class SessionPorts(Protocol):
    """Everything but ``post``, ``run``, ``new_id`` and ``user_clock`` is used on the session's loop only."""

    @property
    def clock(self) -> Clock: ...

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def new_id(self) -> str:
        """A name that nobody else has."""

    def defer(self, call: Callable[[], None]) -> None:
        """Runs when what has come in until now is worked off."""

    def open_stream(self, events: StreamEvents) -> FrameStream: ...

    def is_permanent(self, error: BaseException | None) -> bool:
        """True for an error that waiting does not heal, such as a wrong key."""

    def renew_transport(self) -> None:
        """Throws the connection away, so that the next stream gets a new one."""

    async def close(self) -> None:
        """Closes the connection for good, when every stream is gone."""

    def post(self, call: Callable[[], None]) -> None:
        """Runs on the session's loop. From any thread."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Runs on the session's loop and hands over its result. From any thread."""

    def user_clock(self, loop: asyncio.AbstractEventLoop) -> Clock:
        """The clock whose timers fire on the user's loop."""


class LoopClock:
    """Time of an event loop. Its timers are set and fire on the loop's own thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now_ms(self) -> float:
        return time.monotonic() * 1_000

    def set_timer(self, delay_ms: float, fire: Callable[[], None]) -> TimerHandle:
        return self._loop.call_later(max(delay_ms, 0) / 1_000, fire)


system_random = random.random


def system_new_id() -> str:
    """UUIDv7: unique, and in order of time, which keeps the server's index of run ids dense."""
    stamp = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    value = (stamp & (2**48 - 1)) << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62 | chance & (2**62 - 1)
    return str(uuid.UUID(int=value))


def system_identity() -> str:
    """A name for people: where to look when a worker misbehaves."""
    return f"{socket.gethostname()}/{os.getpid()}"


def stderr_log(level: str, message: str, fields: Mapping[str, Any]) -> None:
    if level in ("debug", "info"):
        return
    tail = f" {json.dumps(dict(fields), default=str)}" if fields else ""
    sys.stderr.write(f"everstep {level}: {message}{tail}\n")
