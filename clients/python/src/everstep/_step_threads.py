"""The threads in which plain functions run as steps: made when they are needed, shared by the runs of a worker."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class StepThreads:
    def __init__(self, loop: asyncio.AbstractEventLoop, threads_max: int) -> None:
        self._loop = loop
        self._executor = ThreadPoolExecutor(threads_max, thread_name_prefix="everstep-step")
        self._closed = False

    def call(
        self,
        context: contextvars.Context,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Calls a function in a thread and hands its outcome to ``done`` on the loop."""

        def work() -> None:
            value: Any = None
            error: BaseException | None = None
            try:
                value = context.run(function, *args)
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # a closed loop: nobody waits any more
                self._loop.call_soon_threadsafe(done, value, error)

        if not self._closed:
            self._executor.submit(work)

    def close(self) -> None:
        """Functions that have not begun do not begin; those that run are not waited for."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
