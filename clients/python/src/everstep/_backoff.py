"""Back-off of the SDK's own repeats, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class BackoffBounds:
    base_ms: float
    max_ms: float


# Between two streams of a session: short enough to keep a lease alive, long enough not to storm a restarting server.
RECONNECT_BACKOFF = BackoffBounds(200, 30_000)

# For an op that a full queue or disk refused.
BUSY_BACKOFF = BackoffBounds(100, 5_000)

# For unary calls of the client: short enough that a server which is back for two seconds is not missed.
CALL_BACKOFF = BackoffBounds(50, 1_000)


def slow_delay_ms(random: Callable[[], float]) -> float:
    """After an error that waiting does not heal (wrong key, wrong version): 30 to 60 s. The log stays readable."""
    return 30_000 + random() * 30_000


def full_jitter_ms(failures: int, bounds: BackoffBounds, random: Callable[[], float]) -> float:
    """Anything between 0 and the exponential bound, so that a thousand workers come back spread out."""
    exponent = min(max(failures - 1, 0), 30)
    return random() * min(bounds.max_ms, bounds.base_ms * 2.0**exponent)
