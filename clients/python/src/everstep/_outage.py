"""Calls that wait for a run (result, watch) go on over an outage of the server, however long: only their caller ends
them."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import grpc.aio

from ._calls import has_reason, may_repeat, pause_before_repeat, to_refusal


class Outage:
    def __init__(self, closed: Callable[[], bool]) -> None:
        self._closed = closed
        self._failures = 0

    def ended(self) -> None:
        """The server has answered."""
        self._failures = 0

    async def outlast(self, error: grpc.aio.AioRpcError, seconds_left: float | None = None) -> None:
        """Pauses before the next try, at most for so long; raises what is no outage."""
        # What the server itself says has a reason. Without one, it is what is left of a call whose server died.
        died = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not has_reason(error)
        if not may_repeat(error) and not died:
            raise to_refusal(error) from error
        self._failures += 1
        await pause_before_repeat(error, self._failures, self._closed, seconds_left)
