"""What the history says for each step key, and in which order it said so.

A replayed workflow must see results in the order in which they were recorded: with two branches, that order decides
who wins a race and who claims a repeated key. So a recorded result is handed over at once only if all earlier ones
have been; otherwise it waits until the code has gone as far as it can and nobody asks for an earlier one. Entries that
nobody asks for (the code took another way after RetryRun) block nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ._gen.worker_service_pb2 import JournalEntry

_RESULTS = frozenset({"completed", "failed", "signal", "timer_fired"})
_STEPS = frozenset({"completed", "failed", "retrying", "started"})
_TIMERS = frozenset({"timer", "timer_fired", "timer_cancelled"})


class _Result:
    __slots__ = ("delivered", "waiter")

    def __init__(self) -> None:
        self.delivered = False
        self.waiter: Callable[[], None] | None = None


class Journal:
    """``at_turn`` runs its argument when the code has gone as far as it can."""

    def __init__(self, at_turn: Callable[[Callable[[], None]], None]) -> None:
        self._at_turn = at_turn
        self._entries: dict[str, JournalEntry] = {}
        self._results: dict[str, _Result] = {}
        self._order: list[_Result] = []
        self._next = 0
        self._waiting = 0
        self._turn_planned = False

    def add(self, entries: Iterable[JournalEntry]) -> None:
        """Appends in order of the events. A result stays; anything else gives way to what came later."""
        for entry in entries:
            self.record(entry)

    def record(self, entry: JournalEntry) -> None:
        key = entry.step_key
        if key in self._results:
            return
        self._entries[key] = entry
        if entry.WhichOneof("entry") in _RESULTS:
            result = self._results[key] = _Result()
            self._order.append(result)

    def find(self, step_key: str) -> JournalEntry | None:
        return self._entries.get(step_key)

    @property
    def replaying(self) -> bool:
        """True while a recorded result waits for its turn: the workflow is still replaying."""
        return self._waiting > 0

    @property
    def exhausted(self) -> bool:
        """True when every recorded result was handed over."""
        return self._next == len(self._order)

    def deliver(self, step_key: str, hand: Callable[[], None]) -> None:
        """Calls ``hand`` when the result of ``step_key`` is due in the recorded order."""
        result = self._results[step_key]
        if self._next < len(self._order) and result is self._order[self._next]:
            self._hand(result, hand)
            return
        result.waiter = hand
        self._waiting += 1
        self._plan_turn()

    def _hand(self, result: _Result, hand: Callable[[], None]) -> None:
        result.delivered = True
        while self._next < len(self._order) and self._order[self._next].delivered:
            self._next += 1
        hand()

    def _plan_turn(self) -> None:
        if not self._turn_planned:
            self._turn_planned = True
            self._at_turn(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_planned = False
        for index in range(self._next, len(self._order)):
            result = self._order[index]
            waiter = result.waiter
            if waiter is not None:
                result.waiter = None
                self._waiting -= 1
                self._hand(result, waiter)
                break
        if self._waiting > 0:
            self._plan_turn()


def kind_of(entry: JournalEntry) -> str:
    """The word for an entry in an error message: "step", "sleep", "wait for a signal" or "unknown entry"."""
    case = entry.WhichOneof("entry")
    if case in _STEPS:
        return "step"
    if case == "signal":
        return "wait for a signal"
    if case in _TIMERS:
        return "sleep" if getattr(entry, case).signal_name == "" else "wait for a signal"
    return "unknown entry"
