"""The thread and loop on which all network traffic of this process goes: of every worker's session and every client.

It is started with the first user and ends with the last. One is enough for all, and gRPC's asyncio layer wants to be
used from one loop only.

A process that was forked after the thread ran has neither it nor a gRPC that works: whoever is used there is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from .errors import ForkedError

T = TypeVar("T")


class IoThread:
    """One user's hold on the thread."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._shared: _SharedThread | None = None

    def check_process(self) -> None:
        if os.getpid() != self._pid:
            if self._shared is None:
                self._pid = os.getpid()  # nothing was opened yet: it works in this process from now on
            else:
                raise ForkedError(self._pid)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Starts the thread if it does not run yet."""
        self.check_process()
        if self._shared is None:
            self._shared = _acquire()
        return self._shared.loop

    def post(self, call: Callable[[], None]) -> None:
        """Runs on the thread's loop; lost when the thread has ended."""
        with contextlib.suppress(RuntimeError):
            self.loop().call_soon_threadsafe(call)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Runs on the thread's loop; the caller's cancel reaches it."""
        try:
            loop = self.loop()
        except BaseException:
            coroutine.close()
            raise
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    def release(self) -> None:
        shared, self._shared = self._shared, None
        if shared is not None and os.getpid() == self._pid:
            _release(shared)


class _SharedThread:
    def __init__(self) -> None:
        self.users = 0
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="everstep-io", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()


_lock = threading.Lock()
_shared: _SharedThread | None = None
# The process that began to use gRPC, and whether this one was forked from it.
_started_in: int | None = None
_forked_from: int | None = None


def _acquire() -> _SharedThread:
    global _shared, _started_in
    if _forked_from is not None:
        raise ForkedError(_forked_from)
    with _lock:
        if _shared is None:
            _started_in = os.getpid()
            _shared = _SharedThread()
        _shared.users += 1
        return _shared


def _release(shared: _SharedThread) -> None:
    global _shared
    with _lock:
        shared.users -= 1
        if shared.users > 0:
            return
        if _shared is shared:
            _shared = None
    shared.stop()


def _forked() -> None:
    """The child has neither the thread nor the lock's holder."""
    global _forked_from, _lock, _shared
    _lock = threading.Lock()
    _forked_from = _started_in
    _shared = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
