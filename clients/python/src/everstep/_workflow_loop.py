"""The event loop on which the code of one run goes.

It is a queue of callbacks and nothing else. So it is known exactly when the code has gone as far as it can (the queue
is empty), and the order in which branches go on is the same at every replay. Tasks, gather, task groups, events, locks
and queues of asyncio work on it. Timers, threads and sockets do not: nobody could repeat them, and they say so.

It has no thread: it is run by the loop that the worker was started on, a turn at a time.
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from .errors import NotDurableError

# The type stubs call every method of it abstract; at run time those that are left out say that they are not there.
_AbstractEventLoop: Any = asyncio.AbstractEventLoop


class WorkflowLoop(_AbstractEventLoop):  # type: ignore[misc]
    def __init__(self, wake: Callable[[], None], report: Callable[[dict[str, Any]], None]) -> None:
        """``wake`` is called when there is something to run, ``report`` with errors that no code took."""
        self._wake = wake
        self._report = report
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def run_ready(self, callbacks_max: int) -> bool:
        """Runs until the code has gone as far as it can; False when it went on for too long and more is ready."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                if callbacks_max == 0:
                    return False
                callbacks_max -= 1
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            return True
        finally:
            asyncio._set_running_loop(outer)

    def open_tasks(self) -> list[asyncio.Task[Any]]:
        return [task for task in self._tasks if not task.done()]

    # What tasks and futures need.

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._wake()
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **options)
        self._tasks.add(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._report(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    # What cannot be repeated.

    def time(self) -> NoReturn:
        raise NotDurableError("the clock of asyncio")

    def call_later(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("a timer of asyncio")

    def call_at(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("a timer of asyncio")

    def call_soon_threadsafe(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("another thread")

    def run_in_executor(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("another thread")

    async def create_connection(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("a connection")

    async def getaddrinfo(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("a name look-up")

    async def subprocess_exec(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("a process")

    async def subprocess_shell(self, *args: Any, **options: Any) -> NoReturn:
        raise NotDurableError("a process")
