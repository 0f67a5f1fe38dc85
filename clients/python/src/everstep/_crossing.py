"""The two ways between the user's loop, where workflow code runs, and the session's loop, where the stream lives.

Each way carries calls in order and in bunches: a loop is woken once for all that waits. What the user's loop sends is
gathered for a turn, so that the results of many steps leave in one frame. A step's start is announced here and becomes
an op only if the step is still running a turn later; a step that is over by then sends its result alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ._ports import Clock, SessionPorts

Call = tuple[Callable[..., None], tuple[Any, ...]]


class Announcement(Protocol):
    """Something that may still be running a turn later."""

    def materialise(self) -> None:
        """Sends what is still needed."""


class Crossing:
    def __init__(self, ports: SessionPorts, loop: asyncio.AbstractEventLoop) -> None:
        self._ports = ports
        self.loop = loop
        self.clock: Clock = ports.user_clock(loop)
        self._to_user: deque[Call] = deque()
        self._user_woken = False
        self._to_session: list[Call] = []
        self._flush_planned = False
        self._announced: list[Announcement] = []

    def to_user(self, call: Callable[..., None], *args: Any) -> None:
        """On the session's loop: runs a call on the user's loop. Lost when that loop is closed already."""
        self._to_user.append((call, args))
        if not self._user_woken:
            self._user_woken = True
            try:
                self.loop.call_soon_threadsafe(self._receive)
            except RuntimeError:
                self._to_user.clear()

    def _receive(self) -> None:
        self._user_woken = False
        while self._to_user:
            call, args = self._to_user.popleft()
            try:
                call(*args)
            except Exception as error:  # a bug of ours: the other runs go on
                self.loop.call_exception_handler({"message": "everstep: a call failed", "exception": error})

    def to_session(self, call: Callable[..., None], *args: Any) -> None:
        """On the user's loop: runs a call on the session's loop, together with all others of this turn."""
        self._to_session.append((call, args))
        if not self._flush_planned:
            self._flush_planned = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        calls, self._to_session = self._to_session, []

        def deliver() -> None:
            for call, args in calls:
                call(*args)

        self._ports.post(deliver)

    def announce(self, announcement: Announcement) -> None:
        if not self._announced:
            # The step's own task takes its first turn before the second of these.
            self.loop.call_soon(self.loop.call_soon, self._materialise)
        self._announced.append(announcement)

    def _materialise(self) -> None:
        announced, self._announced = self._announced, []
        for announcement in announced:
            announcement.materialise()
