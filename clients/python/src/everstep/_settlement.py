"""The outcome of one durable call. Settling it frees its step key for the next use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import Unwound

if TYPE_CHECKING:
    from ._lease_run import LeaseRun


class Settlement:
    __slots__ = ("_base", "_run", "future")

    def __init__(self, run: LeaseRun, base: str) -> None:
        self._run = run
        self._base = base
        self.future = run.loop.create_future()
        run.settlements.add(self)

    def resolve(self, value: Any) -> None:
        self._settled()
        if not self.future.done():  # the branch that waited may have been cancelled
            self.future.set_result(value)

    def reject(self, error: BaseException) -> None:
        self._settled()
        if not self.future.done():
            self.future.set_exception(error)

    def unwind(self) -> None:
        self.reject(Unwound("the run goes on elsewhere or later"))

    def _settled(self) -> None:
        self._run.keys.release(self._base)
        self._run.settlements.discard(self)
