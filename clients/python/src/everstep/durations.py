"""Durations of the public surface: seconds, or a timedelta, as everywhere in Python. The wire has milliseconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

from . import _limits as limits
from .errors import InvalidArgumentError

Duration: TypeAlias = float | timedelta
"""Seconds, or a timedelta."""


def seconds_of(what: str, duration: Duration) -> float:
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidArgumentError(f"{what} is a number of seconds or a timedelta, not {duration!r}")
    if not 0 <= seconds <= limits.DELAY_MS_MAX / 1_000:
        raise InvalidArgumentError(f"{what} is from 0 to 10^11 seconds, not {seconds!r}")
    return seconds


def milliseconds_of(what: str, duration: Duration) -> int:
    """Whole milliseconds, rounded up: nothing is due earlier than it was asked for."""
    return math.ceil(round(seconds_of(what, duration) * 1_000, 6))
