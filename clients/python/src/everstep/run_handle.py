"""A run as its starter sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._gen.event_pb2 import Event
from .durations import Duration
from .run_info import RunInfo

if TYPE_CHECKING:
    from .client import Client

Output = TypeVar("Output")


class RunHandle(Generic[Output]):
    """Each call is the one of the same name on the client."""

    def __init__(self, client: Client, run_id: str, already_started: bool) -> None:
        self._client = client
        self.run_id = run_id
        self.already_started = already_started
        """True when an earlier call had started it."""

    async def result(self, *, timeout: Duration | None = None) -> Output:
        output: Output = await self._client.result(self.run_id, timeout=timeout)
        return output

    async def get(self) -> RunInfo:
        return await self._client.get(self.run_id)

    async def signal(self, name: str, payload: Any = None, *, request_id: str | None = None) -> int:
        return await self._client.signal(self.run_id, name, payload, request_id=request_id)

    async def cancel(self, *, reason: str = "", grace: Duration | None = None) -> RunInfo:
        return await self._client.cancel(self.run_id, reason=reason, grace=grace)

    async def terminate(self, *, reason: str = "") -> RunInfo:
        return await self._client.terminate(self.run_id, reason=reason)

    def watch(self, *, after_seq: int = 0) -> AsyncGenerator[Event, None]:
        return self._client.watch(self.run_id, after_seq=after_seq)
