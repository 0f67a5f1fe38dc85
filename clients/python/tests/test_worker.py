"""Worker and client against a real server process on a real file."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from everstep import (
    CallRefusedError,
    CancelledError,
    Client,
    Complete,
    ResultTimeoutError,
    RetryOptions,
    RunFailedError,
    RunTerminatedError,
    Worker,
    WorkflowContext,
    current_attempt,
    workflow,
)
from tests.server_process import ServerProcess


def quiet(level: str, message: str, fields: Any) -> None:
    pass


def worker(server: ServerProcess, *workflows: Any, **options: Any) -> Worker:
    return Worker(workflows=workflows, address=server.url, log=quiet, **options)


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout: float = 100) -> None:
    end_at = time.monotonic() + timeout
    while True:
        answer = condition()
        if await answer if isinstance(answer, Awaitable) else answer:
            return
        assert time.monotonic() < end_at, "the condition did not come true in time"
        await asyncio.sleep(0.01)


async def status_is(client: Client, run_id: str, *statuses: str) -> bool:
    return (await client.get(run_id)).status in statuses


async def hang() -> None:
    await asyncio.Event().wait()


async def test_an_order_with_steps_a_signal_parallel_steps_a_result_and_its_history(server: ServerProcess) -> None:
    @workflow(name="order")
    async def order(ctx: WorkflowContext, input: dict[str, int]) -> dict[str, Any]:
        charge = await ctx.step("charge", lambda: {"paid": input["cents"]})
        approval = await ctx.signal("approval", timeout=60)

        async def mail() -> str:
            return "M"

        label, sent = await asyncio.gather(ctx.step("label", lambda: "L"), ctx.step("mail", mail))
        return {"charge": charge, "by": approval["by"], "label": label, "mail": sent}

    async with Client(server.url) as client, worker(server, order):
        run = await client.start(order, {"cents": 5}, run_key="o-1")
        await until(lambda: status_is(client, run.run_id, "WAITING"))
        assert (await client.explain(run.run_id)).text
        await run.signal("approval", {"by": "ada"})
        assert await run.result() == {"charge": {"paid": 5}, "by": "ada", "label": "L", "mail": "M"}
        info = await run.get()
        assert (info.status, info.run_key, info.input) == ("COMPLETED", "o-1", {"cents": 5})
        seqs = [event.seq async for event in run.watch()]
        assert seqs == list(range(1, len(seqs) + 1))
        assert [found.run_id async for found in client.list(workflow="order")] == [run.run_id]


async def test_a_start_may_be_repeated_and_a_taken_key_has_a_named_reason(server: ServerProcess) -> None:
    async with Client(server.url) as client:
        first = await client.start("idle", run_id="fixed", request_id="r-1", run_key="k")
        second = await client.start("idle", run_id="fixed", request_id="r-1", run_key="k")
        assert (first.already_started, second.already_started) == (False, True)
        with pytest.raises(CallRefusedError) as taken:
            await client.start("idle", run_key="k")
        assert (taken.value.reason, taken.value.metadata["run_id"]) == ("RUN_KEY_TAKEN", "fixed")
        with pytest.raises(CallRefusedError) as unknown:
            await client.get("nobody")
        assert unknown.value.reason == "RUN_NOT_FOUND"
        with pytest.raises(ResultTimeoutError):
            await first.result(timeout=0.05)
        assert (await first.terminate()).status == "TERMINATED"
        with pytest.raises(RunTerminatedError):
            await first.result()


async def test_lists_are_read_page_by_page(server: ServerProcess) -> None:
    async with Client(server.url, namespace="pages") as client:
        started = {(await client.start("idle", priority=3)).run_id for _ in range(7)}
        assert {run.run_id async for run in client.list(page_size=2, statuses=["QUEUED"])} == started
        assert [run async for run in client.list(statuses=["COMPLETED"])] == []


async def test_retries_then_success_and_exhausted_retries_fail_the_run_with_their_causes(server: ServerProcess) -> None:
    broken = True

    def flaky() -> int:
        if current_attempt().attempt < 3:
            raise ValueError("not yet")
        return current_attempt().attempt

    async def fragile() -> None:
        if broken:
            raise TypeError("still broken")

    @workflow(name="retried")
    async def retried(ctx: WorkflowContext) -> int:
        attempts = await ctx.step("flaky", flaky, retry=RetryOptions(initial_delay=0.01))
        await ctx.step("broken", fragile, retry=RetryOptions(max_attempts=1))
        return attempts

    async with Client(server.url) as client, worker(server, retried):
        run = await client.start(retried)
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert failed.value.failure.type == "StepFailed"
        cause = failed.value.failure.cause
        assert cause is not None
        assert (cause.type, cause.message) == ("TypeError", "still broken")
        assert "test_worker.py" in cause.stack
        broken = False
        await client.retry(run.run_id)
        assert await run.result() == 3


async def test_more_steps_back_off_than_one_suspend_may_await(server: ServerProcess) -> None:
    async def down() -> None:
        raise ConnectionError("down")

    @workflow(name="many")
    async def many(ctx: WorkflowContext) -> None:
        retry = RetryOptions(delays=[60])
        await asyncio.gather(*(ctx.step(f"call-{n}", down, retry=retry) for n in range(1_001)))

    async with Client(server.url) as client, worker(server, many) as busy:
        run = await client.start(many)
        await until(lambda: status_is(client, run.run_id, "WAITING", "PAUSED"))
        await until(lambda: busy.health().held == 0)
        assert (await run.get()).status == "WAITING"
        await run.terminate()


async def test_a_sleep_suspends_short_or_long_and_a_wait_times_out(server: ServerProcess) -> None:
    @workflow(name="sleeper")
    async def sleeper(ctx: WorkflowContext) -> str:
        await ctx.sleep("short", 0.02)
        await ctx.sleep("long", 1.2)
        return await ctx.signal("never", timeout=0.03) or "timed out"

    async with Client(server.url) as client, worker(server, sleeper) as sleepy:
        run = await client.start(sleeper)
        await until(lambda: status_is(client, run.run_id, "WAITING"))
        await until(lambda: sleepy.health().held == 0)
        assert await run.result() == "timed out"


async def test_cancel_stops_the_running_step_cleanup_runs_and_the_run_ends_cancelled(server: ServerProcess) -> None:
    cleaned: list[int] = []

    @workflow(name="cancelled")
    async def cancelled(ctx: WorkflowContext) -> None:
        try:
            await ctx.step("work", hang)
        finally:
            await ctx.step("undo", cleaned.append, 1)

    async with Client(server.url) as client, worker(server, cancelled):
        run = await client.start(cancelled)
        await until(lambda: status_is(client, run.run_id, "RUNNING"))
        await run.cancel(reason="enough")
        with pytest.raises(CancelledError):
            await run.result()
        assert cleaned == [1]


async def test_terminate_stops_the_handler(server: ServerProcess) -> None:
    started = threading.Event()
    stopped = threading.Event()

    def work() -> None:
        started.set()
        if current_attempt().wait_cancelled(60):
            stopped.set()

    @workflow(name="doomed")
    async def doomed(ctx: WorkflowContext) -> None:
        await ctx.step("work", work)

    async with Client(server.url) as client, worker(server, doomed):
        run = await client.start(doomed)
        await until(started.is_set)
        await run.terminate()
        await until(stopped.is_set)


async def test_pause_and_resume(server: ServerProcess) -> None:
    calls = []
    begun, finish = asyncio.Event(), asyncio.Event()

    async def one() -> None:
        calls.append("one")
        begun.set()
        await finish.wait()

    async def two() -> int:
        calls.append("two")
        return 2

    @workflow(name="paused")
    async def paused(ctx: WorkflowContext) -> int:
        await ctx.step("one", one)
        return await ctx.step("two", two)

    async with Client(server.url) as client, worker(server, paused):
        run = await client.start(paused)
        await begun.wait()
        await client.pause(run.run_id)
        finish.set()
        await until(lambda: status_is(client, run.run_id, "PAUSED"))
        assert calls == ["one"]
        await client.resume(run.run_id)
        assert await run.result() == 2
        assert calls == ["one", "two"]


async def test_at_most_once_a_worker_lost_inside_pauses_the_run_and_a_person_decides(server: ServerProcess) -> None:
    inside = asyncio.Event()

    async def pay() -> str:
        if current_attempt().fencing_token == 1:
            inside.set()
            await hang()
        return "paid twice"

    @workflow(name="once")
    async def once(ctx: WorkflowContext) -> str:
        return await ctx.step("pay", pay, at_most_once=True)

    async with Client(server.url) as client:
        lost = await worker(server, once).start()
        run = await client.start(once)
        await inside.wait()
        await lost.close()
        await until(lambda: status_is(client, run.run_id, "PAUSED"))
        assert (await run.get()).pause_reason == "UNCERTAIN_EFFECT"
        async with worker(server, once):
            await client.resume(run.run_id, resolution=Complete("paid once"))
            assert await run.result() == "paid once"


async def test_a_lost_worker_another_one_goes_on_behind_what_is_recorded(server: ServerProcess) -> None:
    first_calls: list[int] = []

    async def second() -> int:
        token = current_attempt().fencing_token
        if token == 1:
            await hang()
        return token

    @workflow(name="taken")
    async def taken(ctx: WorkflowContext) -> int:
        await ctx.step("first", first_calls.append, 1)
        return await ctx.step("second", second)

    async with Client(server.url) as client:
        lost = await worker(server, taken).start()
        run = await client.start(taken)

        async def first_is_recorded() -> bool:
            return (await run.get()).steps_completed == 1

        await until(first_is_recorded)
        await lost.close()
        async with worker(server, taken):
            assert await run.result() == 2
        assert first_calls == [1]


async def test_drain_gives_runs_back_between_steps_and_another_worker_ends_them(server: ServerProcess) -> None:
    @workflow(name="relay")
    async def relay(ctx: WorkflowContext) -> str:
        for step in range(30):
            await ctx.step(f"s{step}", asyncio.sleep, 0.01)
        return "done"

    async with Client(server.url) as client:
        first = await worker(server, relay).start()
        run = await client.start(relay)

        async def some_are_recorded() -> bool:
            return (await run.get()).steps_completed > 2

        await until(some_are_recorded)
        await first.drain()
        assert first.health().session_state == "closed"
        assert (await run.get()).status == "QUEUED"
        async with worker(server, relay):
            assert await run.result() == "done"


def hog(seconds: float) -> None:
    """Computes without a pause."""
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        sum(range(1_000))


async def test_steps_that_hog_the_cpu_and_the_loop_for_longer_than_the_lease_keep_it(server: ServerProcess) -> None:
    async def block() -> int:
        hog(4)
        return current_attempt().fencing_token

    def compute() -> int:
        hog(4)
        return current_attempt().fencing_token

    @workflow(name="hogging")
    async def hogging(ctx: WorkflowContext) -> tuple[int, int]:
        return await asyncio.gather(ctx.step("loop", block), ctx.step("cpu", compute))

    async with Client(server.url) as client, worker(server, hogging):
        run = await client.start(hogging)
        assert list(await run.result()) == [1, 1]
        assert (await run.get()).epoch == 1


async def test_workflow_code_that_hogs_the_loop_for_longer_than_the_lease_keeps_it(server: ServerProcess) -> None:
    @workflow(name="hogging-code")
    async def hogging(ctx: WorkflowContext) -> int:
        hog(4)
        return await ctx.step("token", lambda: current_attempt().fencing_token)

    async with Client(server.url) as client, worker(server, hogging):
        run = await client.start(hogging)
        assert await run.result() == 1


async def test_a_server_killed_under_held_leases_handlers_live_on_and_nothing_runs_twice(
    own_server: ServerProcess,
) -> None:
    calls: Counter[str] = Counter()

    async def work(key: str) -> None:
        calls[key] += 1
        await asyncio.sleep(0.05)

    @workflow(name="steady")
    async def steady(ctx: WorkflowContext, input: int) -> str:
        for step in range(12):
            await ctx.step(f"s{step}", work, f"{input}/{step}")
        return str(await ctx.signal("end"))

    async with Client(own_server.url) as client, worker(own_server, steady, capacity=20) as held:
        runs = [await client.start(steady, number) for number in range(20)]
        await until(lambda: len(calls) > 60)
        own_server.kill()
        await until(lambda: not held.health().connected)
        assert held.health().held == 20
        await asyncio.to_thread(own_server.restart)
        for run in runs:
            await run.signal("end", "over")
        assert await asyncio.gather(*(run.result() for run in runs)) == ["over"] * 20
        assert [key for key, count in calls.items() if count != 1] == []
        assert len(calls) == 240


async def test_a_worker_that_finds_no_server_comes_back_when_there_is_one(own_server: ServerProcess) -> None:
    @workflow(name="late")
    async def late(ctx: WorkflowContext) -> str:
        return "here"

    await asyncio.to_thread(own_server.kill)
    async with worker(own_server, late) as lonely:
        await until(lambda: lonely.health().last_error is not None)
        health = lonely.health()
        assert (health.connected, health.held) == (False, 0)
        assert "UNAVAILABLE" in str(health.last_error)
        await asyncio.to_thread(own_server.restart)
        async with Client(own_server.url) as client:
            run = await client.start(late)
            assert await run.result() == "here"


async def test_a_client_may_be_used_from_any_loop_and_many_at_once(server: ServerProcess) -> None:
    client = Client(server.url)
    run = await client.start("idle")

    def elsewhere() -> str:
        return asyncio.run(client.get(run.run_id)).run_id

    assert await asyncio.gather(*(asyncio.to_thread(elsewhere) for _ in range(4))) == [run.run_id] * 4
    await client.close()


async def test_a_watch_that_is_left_early_leaves_nothing_behind(server: ServerProcess) -> None:
    async with Client(server.url) as client:
        run = await client.start("idle")
        watch = run.watch()
        assert (await anext(watch)).seq == 1
        await watch.aclose()


async def test_nothing_is_left_after_close(server: ServerProcess) -> None:
    @workflow(name="leftover")
    async def leftover(ctx: WorkflowContext) -> None:
        await ctx.step("hang", hang)

    before = len(asyncio.all_tasks())
    async with Client(server.url) as client:
        busy = await worker(server, leftover).start()
        run = await client.start(leftover)
        await until(lambda: busy.health().held == 1)
        await busy.close()
        await run.terminate()
    gc.collect()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("everstep-io")] == []
