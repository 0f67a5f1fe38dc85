"""When a failed step is tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ._gen import retry_policy_pb2
from .durations import Duration, milliseconds_of

_KINDS = {
    "fixed": retry_policy_pb2.BACKOFF_KIND_FIXED,
    "linear": retry_policy_pb2.BACKOFF_KIND_LINEAR,
    "exponential": retry_policy_pb2.BACKOFF_KIND_EXPONENTIAL,
}


@dataclass(frozen=True, kw_only=True)
class RetryOptions:
    """When a failed step is tried again. The server decides with the policy that came with the failure.

    Durations are seconds or a timedelta.
    """

    max_attempts: int | None = None
    """Attempts in all, the first included. Default 4; 0 means without limit."""
    backoff: Literal["fixed", "linear", "exponential"] | None = None
    """Default "exponential"."""
    initial_delay: Duration | None = None
    """After the first failed attempt; default 1 s."""
    factor: float | None = None
    """Growth of the exponential back-off; default 2."""
    max_delay: Duration | None = None
    """No delay is longer; default 60 s."""
    delays: Sequence[Duration] | None = None
    """Delays in turn, the last one repeats; takes the place of ``backoff``."""
    jitter: float | None = None
    """Share of the delay that is random, 0 to 1."""
    max_elapsed: Duration | None = None
    """No attempt starts later than this after the first one; default: no limit."""
    non_retryable_types: Sequence[str] = ()
    """Failure types that are never retried: class names of errors, or ``type`` of NonRetryableError."""


def to_retry_policy(options: RetryOptions | None, at_most_once: bool) -> retry_policy_pb2.RetryPolicy | None:
    """None means the server's default. A step that may run at most once is not repeated unless the code asks for it."""
    if options is None:
        return retry_policy_pb2.RetryPolicy(max_attempts=1) if at_most_once else None
    policy = retry_policy_pb2.RetryPolicy(
        factor=options.factor,
        jitter=options.jitter,
        max_attempts=options.max_attempts,
        non_retryable_types=options.non_retryable_types,
    )
    if options.delays is not None:
        policy.backoff = retry_policy_pb2.BACKOFF_KIND_LISTED
        policy.delays_ms.extend(milliseconds_of("a delay of retry", delay) for delay in options.delays)
    elif options.backoff is not None:
        policy.backoff = _KINDS[options.backoff]
    if options.initial_delay is not None:
        policy.initial_delay_ms = milliseconds_of("retry.initial_delay", options.initial_delay)
    if options.max_delay is not None:
        policy.max_delay_ms = milliseconds_of("retry.max_delay", options.max_delay)
    if options.max_elapsed is not None:
        policy.max_elapsed_ms = milliseconds_of("retry.max_elapsed", options.max_elapsed)
    return policy
