"""Calls that wait for a run go on over an outage of the server."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import grpc
import grpc.aio
import pytest

from everstep import CallRefusedError, Client, ResultTimeoutError, RunTerminatedError, _calls
from everstep import _limits as limits
from everstep._gen.run_pb2 import RUN_STATUS_TERMINATED, Run
from everstep._gen.run_service_pb2 import WaitRunResponse
from tests.server_process import ServerProcess

# More than another call makes before it gives up, with the patience that these tests give it.
MANY_PAUSES = 16
SHORT_PATIENCE_SECONDS = 0.2


class Pauses:
    """As short as chance may make them, and counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(_calls, "system_random", self._random)

    def _random(self) -> float:
        self.count += 1
        return 0.0

    async def come(self, count: int) -> None:
        self.count = 0
        while self.count < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_result_and_watch_go_on_when_the_server_ends_and_comes_back(
    own_server: ServerProcess, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    pauses = Pauses(monkeypatch)
    async with Client(own_server.url) as client:
        run = await client.start("nobody-works-on-it")
        result = asyncio.create_task(run.result())
        seqs: list[int] = []

        async def watch() -> None:
            async for event in run.watch():
                seqs.append(event.seq)

        watched = asyncio.create_task(watch())
        await run.signal("s", 1)
        while len(seqs) < 2:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(getattr(own_server, end))
        monkeypatch.setattr(limits, "CALL_PATIENCE", SHORT_PATIENCE_SECONDS)
        await pauses.come(2 * MANY_PAUSES)
        monkeypatch.undo()
        await asyncio.to_thread(own_server.restart)
        async with Client(own_server.url) as other:  # without the pauses of the first one's channel
            await other.signal(run.run_id, "s", 2)
            await other.terminate(run.run_id)
        with pytest.raises(RunTerminatedError):
            await result
        await watched
        assert seqs == [1, 2, 3, 4]


async def test_close_ends_calls_on_their_way_and_leaves_nothing_behind(server: ServerProcess) -> None:
    client = Client(server.url)
    run = await client.start("nobody-works-on-it")
    first = asyncio.Event()

    async def watch() -> None:
        async for _ in run.watch():
            first.set()

    waits = [asyncio.create_task(run.result()), asyncio.create_task(watch())]
    await first.wait()
    await client.close()
    for wait in waits:
        with pytest.raises(CallRefusedError) as refused:
            await wait
        assert refused.value.reason == "UNAVAILABLE"
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("everstep-io")] == []


async def test_a_call_is_tried_again_for_its_time_however_short_its_pauses_are(
    own_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses(monkeypatch)
    own_server.stop()
    async with Client(own_server.url) as client:
        start = asyncio.create_task(client.start("nobody-works-on-it"))
        await pauses.come(MANY_PAUSES)
        await asyncio.to_thread(own_server.restart)
        assert (await start).run_id != ""
        monkeypatch.setattr(limits, "CALL_PATIENCE", 0.5)
        own_server.stop()
        began = time.monotonic()
        with pytest.raises(CallRefusedError) as refused:
            await client.start("nobody-works-on-it")
        assert refused.value.reason == "UNAVAILABLE"
        assert time.monotonic() - began >= limits.CALL_PATIENCE


def waiting_client(monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode, failures: int) -> tuple[Client, list[float]]:
    """A client whose WaitRun fails so often, then answers; and the time limits of its calls."""
    limits_seen: list[float] = []

    async def call_once(method: str, request: Any, timeout: float) -> WaitRunResponse:
        assert method == "WaitRun"
        limits_seen.append(timeout)
        if len(limits_seen) <= failures:
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "the connection is gone")
        return WaitRunResponse(run=Run(run_id="r", status=RUN_STATUS_TERMINATED))

    client = Client("http://127.0.0.1:9")
    monkeypatch.setattr(client, "_call_once", call_once)
    return client, limits_seen


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ],
)
async def test_what_is_left_of_a_call_whose_server_died_is_an_outage(
    monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode
) -> None:
    Pauses(monkeypatch)
    monkeypatch.setattr(limits, "CALL_PATIENCE", SHORT_PATIENCE_SECONDS)
    client, calls = waiting_client(monkeypatch, code, MANY_PAUSES)
    with pytest.raises(RunTerminatedError):
        await client.result("r")
    assert calls == [limits.WAIT_PIECE + limits.WAIT_OVERDUE] * (MANY_PAUSES + 1)
    await client.close()


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
    ],
)
async def test_what_the_server_refuses_ends_a_wait_at_once(
    monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode
) -> None:
    client, calls = waiting_client(monkeypatch, code, 1)
    with pytest.raises(CallRefusedError):
        await client.result("r")
    assert len(calls) == 1
    await client.close()


async def test_the_caller_ends_a_wait_in_an_outage_by_time_by_cancel_and_by_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = Pauses(monkeypatch)
    client, _ = waiting_client(monkeypatch, grpc.StatusCode.UNAVAILABLE, 1_000_000)
    with pytest.raises(ResultTimeoutError):
        await client.result("r", timeout=0.12)
    cancelled = asyncio.create_task(client.result("r"))
    await pauses.come(3)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    left = asyncio.create_task(client.result("r"))
    await pauses.come(3)
    await client.close()
    with pytest.raises(CallRefusedError):
        await left
