"""Runs under one lease, against a scripted server and a virtual clock."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from everstep import (
    CancelledError,
    NonDeterminismError,
    NonRetryableError,
    NotDurableError,
    RetryOptions,
    StepFailedError,
    Unwound,
    WorkflowContext,
    current_attempt,
    workflow,
)
from everstep._gen import change_pb2, failure_pb2, worker_service_pb2
from everstep._gen import error_reason_pb2 as reasons
from everstep._gen.change_pb2 import Op, OpResult
from everstep._gen.signal_pb2 import Signal
from everstep._gen.worker_service_pb2 import JournalEntry
from tests.peer import Peer, applied, completed, lease_id_of, outcome, payload, refused, turns

Script = Callable[[Op], OpResult | str | None]
"""An answer, "drop", or None: as usual."""


@asynccontextmanager
async def running(flow: Any, script: Script | None = None, **more: Any) -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start(flow)

    def answer(op: Op, index: int) -> OpResult | None:
        scripted = None if script is None else script(op)
        if scripted == "drop":
            return None
        return applied(op) if not isinstance(scripted, OpResult) else scripted

    peer.answer = answer
    peer.assign(1, flow.name, **more)
    await turns(20)
    try:
        yield peer
    finally:
        await peer.worker.close()
        await turns(1)


def when(kind: str, answer: Callable[[Any], OpResult | str]) -> Script:
    """Answers ops whose first change is of this kind."""
    return lambda op: answer(getattr(op.changes[0], kind)) if op.changes[0].WhichOneof("change") == kind else None


def planned(delay_ms: int) -> Script:
    def answer(failed: Any) -> OpResult:
        if failed.attempt < 3:
            return outcome(retry=change_pb2.RetryPlanned(next_attempt=failed.attempt + 1, delay_ms=delay_ms))
        return outcome(exhausted=change_pb2.StepExhausted(attempt=failed.attempt))

    return when("fail_step", answer)


async def one() -> int:
    return 1


async def give(value: Any) -> Any:
    return value


async def hang() -> None:
    await asyncio.Event().wait()


class TestSteps:
    async def test_a_recorded_result_is_returned_and_the_function_is_not_called(self) -> None:
        calls: list[int] = []

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> Any:
            return await ctx.step("a", calls.append, 1)

        async with running(flow, journal=[completed("a", 41)]) as peer:
            assert (calls, peer.output()) == ([], 41)

    async def test_a_start_is_sent_only_for_a_step_that_still_runs_a_turn_later(self) -> None:
        finish = asyncio.Event()

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("quick", one)
            await ctx.step("slow", finish.wait)

        async with running(flow) as peer:
            finish.set()
            await turns()
            assert peer.changes() == [
                "complete_step:quick",
                "start_step:slow",
                "complete_step:slow",
                "complete_run",
            ]

    async def test_at_most_once_waits_for_its_start_to_be_durable(self) -> None:
        calls = []

        async def pay() -> None:
            calls.append(1)

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("pay", pay, at_most_once=True)

        async with running(flow, lambda op: "drop") as peer:
            assert peer.change("start_step").at_most_once
            assert calls == []

    @pytest.mark.parametrize("how", ["revoked", "not confirmed"])
    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_at_most_once_is_not_entered_when_the_leave_is_read_behind_the_lease(
        self, kind: str, how: str
    ) -> None:
        calls = []

        def plain() -> None:
            calls.append(1)

        async def asynchronous() -> None:
            calls.append(1)

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("pay", plain if kind == "plain" else asynchronous, at_most_once=True)

        async with running(flow, lambda op: "drop") as peer:
            leave = applied(peer.ops()[0])
            leave.op_id, leave.lease_id = peer.ops()[0].op_id, lease_id_of(1)
            lost = worker_service_pb2.LostLease(lease_id=lease_id_of(1))
            if how == "not confirmed":
                peer.clock.jump(25_000)
            peer.send(op_results=worker_service_pb2.OpResults(results=[leave]))
            if how == "revoked":
                peer.send(revoke=worker_service_pb2.Revoke(leases=[lost]))
            await turns()
            await asyncio.to_thread(lambda: None)
            assert calls == []

    async def test_a_retry_is_waited_out_under_the_lease_then_the_step_is_exhausted(self) -> None:
        attempts = []

        async def flaky() -> None:
            attempts.append(current_attempt().attempt)
            raise TypeError("no")

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("flaky", flaky)

        async with running(flow, planned(1_000)) as peer:
            await peer.clock.advance(3_000)
            await turns()
            assert attempts == [1, 2, 3]
            assert peer.change("fail_step").failure.type == "TypeError"
            failed = peer.change("fail_run")
            assert (list(failed.failed_steps), failed.failure.type) == (["flaky"], "StepFailed")
            assert failed.failure.cause.type == "TypeError"
            assert "suspend_run" not in peer.changes()

    async def test_a_failed_step_may_be_caught(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> Any:
            try:
                return await ctx.step("a", one)
            except StepFailedError as error:
                return [error.attempts, str(error.__cause__)]

        failure = failure_pb2.Failure(type="X", message="m")
        entry = JournalEntry(step_key="a", failed=worker_service_pb2.JournalFailed(attempt=4, failure=failure))
        async with running(flow, journal=[entry]) as peer:
            assert peer.output() == [4, "X: m"]

    async def test_a_long_retry_suspends_and_a_takeover_goes_on_with_the_next_attempt(self) -> None:
        async def flaky() -> int:
            if current_attempt().attempt == 1:
                raise ValueError("no")
            return current_attempt().attempt

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> int:
            return await ctx.step("flaky", flaky)

        async with running(flow, planned(60_000)) as peer:
            assert [wait.retry for wait in peer.change("suspend_run").awaits] == ["flaky"]
            assert peer.worker.health().held == 0
            retrying = worker_service_pb2.JournalRetrying(attempt=1, delay_ms=0)
            peer.assign(2, "w", journal=[JournalEntry(step_key="flaky", retrying=retrying)])
            await turns()
            assert peer.output() == 2

    async def test_a_retry_that_is_due_by_notice_begins_at_once(self) -> None:
        async def flaky() -> int:
            if current_attempt().attempt == 1:
                raise ValueError("no")
            return current_attempt().attempt

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> int:
            return await ctx.step("flaky", flaky)

        async with running(flow, planned(4_000)) as peer:
            peer.notice(1, 8, retry_due="flaky")
            await turns()
            assert peer.output() == 2

    async def test_a_timeout_cancels_the_function_and_fails_the_attempt(self) -> None:
        seen: list[BaseException | None] = []

        async def slow() -> None:
            try:
                await hang()
            except asyncio.CancelledError:
                seen.append(current_attempt().cancel_reason)
                raise

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("slow", slow, timeout=0.5, retry=RetryOptions(max_attempts=1))

        async with running(flow) as peer:
            assert peer.change("start_step").timeout_ms == 1_500
            await peer.clock.advance(500)
            assert "took longer than 500 ms" in str(seen[0])
            assert peer.change("fail_step").failure.type == "StepTimeout"

    async def test_a_result_that_is_too_large_fails_the_attempt_for_good(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("big", give, "x" * 300_000)

        async with running(flow) as peer:
            failure = peer.change("fail_step").failure
            assert (failure.type, failure.non_retryable) == ("PayloadTooLarge", True)

    async def test_the_input_is_recorded_with_the_start(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("a", one, input={"id": 3})

        async with running(flow) as peer:
            assert peer.changes() == ["start_step:a", "complete_step:a", "complete_run"]
            assert peer.change("start_step").input.json == '{"id":3}'

    async def test_at_the_history_limit_no_other_result_is_sent(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await asyncio.gather(*(ctx.step(key, one) for key in "abc"))

        def script(op: Op) -> OpResult | None:
            if op.changes[0].WhichOneof("change") != "complete_step":
                return None
            first = op.op_id == 1
            return refused(reasons.ERROR_REASON_HISTORY_LIMIT if first else reasons.ERROR_REASON_PRECEDING_FAILED)

        async with running(flow, script) as peer:
            assert peer.changes() == ["complete_step:a", "complete_step:b", "complete_step:c", "fail_run"]
            assert (peer.change("fail_run").failure.type, peer.ops()[-1].after_refused) == ("HistoryLimit", 1)

    async def test_many_that_find_the_server_busy_are_one_reason_to_wait(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await asyncio.gather(*(ctx.step(f"{n}", one) for n in range(20)))

        busy = True
        script = when("complete_step", lambda _: refused(reasons.ERROR_REASON_BUSY))
        async with running(flow, lambda op: script(op) if busy else None) as peer:
            assert len(peer.ops()) == 20
            busy = False
            await peer.clock.advance(50)  # half of the first bound
            assert peer.changes()[-1] == "complete_run"

    async def test_a_failed_run_names_no_more_failed_steps_than_it_may(self) -> None:
        failure = failure_pb2.Failure(type="X", message="m")
        failed = worker_service_pb2.JournalFailed(attempt=1, failure=failure)

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            found = await asyncio.gather(*(ctx.step(f"{n}", one) for n in range(1_001)), return_exceptions=True)
            raise BaseExceptionGroup("many", [error for error in found if isinstance(error, BaseException)])

        journal = [JournalEntry(step_key=f"{n}", failed=failed) for n in range(1_001)]
        async with running(flow, journal=journal) as peer:
            assert len(peer.change("fail_run").failed_steps) == 1_000

    async def test_the_history_limit_fails_the_run_whatever_the_code_catches(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> int:
            try:
                return await ctx.step("a", one)
            except Exception:
                return 2

        limit = when("complete_step", lambda _: refused(reasons.ERROR_REASON_HISTORY_LIMIT))
        async with running(flow, limit) as peer:
            assert peer.change("fail_run").failure.type == "HistoryLimit"

    async def test_a_plain_function_runs_in_a_thread_and_may_make_something_to_await(self) -> None:
        import threading

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> list[Any]:
            name = await ctx.step("thread", lambda: threading.current_thread().name)
            token = await ctx.step("context", lambda: current_attempt().fencing_token)
            return [name, token, await ctx.step("lambda", lambda: give("async"))]

        async with running(flow) as peer:
            while peer.output() is None:
                await asyncio.sleep(0.01)
            name, token, value = peer.output()
            assert name.startswith("everstep-step")
            assert (token, value) == (7, "async")

    @pytest.mark.parametrize("error", [StopIteration("s"), SystemExit(3), asyncio.CancelledError("c")])
    @pytest.mark.parametrize("in_thread", [False, True])
    async def test_anything_that_a_function_raises_is_a_failed_attempt(
        self, error: BaseException, in_thread: bool
    ) -> None:
        async def raise_it() -> None:
            raise error

        def raise_in_thread() -> None:
            raise error

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("a", raise_in_thread if in_thread else raise_it)

        async with running(flow, planned(100_000)) as peer:
            while "fail_step:a" not in peer.changes():
                await asyncio.sleep(0.01)

    async def test_wrong_arguments_fail_the_attempt(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("a", one, 1)  # type: ignore[arg-type]

        async with running(flow) as peer:
            assert peer.change("fail_step").failure.type == "TypeError"

    async def test_a_durable_call_from_inside_a_step_is_refused_by_name(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            async def nested() -> None:
                await ctx.sleep("inner", 1)

            await ctx.step("outer", nested)

        async with running(flow) as peer:
            assert peer.change("fail_step").failure.type == "InvalidArgumentError"


class TestReplay:
    async def test_repeated_keys_are_numbered_in_call_order(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> list[str]:
            for step in range(3):
                await ctx.step("a", give, step)
            return ctx.step_keys

        async with running(flow) as peer:
            assert peer.output() == ["a", "a#2", "a#3"]

    async def test_a_repeated_key_in_two_branches_is_refused_by_name(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await asyncio.gather(ctx.step("a", one), ctx.step("a", one))

        async with running(flow) as peer:
            assert peer.change("fail_run").failure.type == "AmbiguousStepKey"

    async def test_another_kind_in_the_history_fails_the_run_whatever_the_code_catches(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> str:
            with suppress(BaseException):
                await ctx.sleep("a", 0.01)
            return "swallowed"

        async with running(flow, journal=[completed("a", 1)]) as peer:
            assert peer.change("fail_run").failure.type == "NonDeterminism"
        assert NonDeterminismError("a", "sleep", "step").reason == "STEP_KIND_MISMATCH"

    async def test_results_come_back_in_the_recorded_order_so_a_race_has_the_same_winner(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> Any:
            tasks = [asyncio.create_task(ctx.step(key, give, "live")) for key in ("a", "b")]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()

        async with running(flow, journal=[completed("b", "b"), completed("a", "a")]) as peer:
            assert peer.output() == "b"

    async def test_a_journal_in_chunks_starts_the_run_when_it_is_whole(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> list[int]:
            return [await ctx.step("a", one), await ctx.step("b", one)]

        async with running(flow, journal=[completed("a", 1)], journal_continues=True) as peer:
            assert peer.changes() == []
            chunk = worker_service_pb2.JournalChunk(lease_id=lease_id_of(1), journal=[completed("b", 2)])
            peer.send(journal_chunk=chunk)
            await turns()
            assert peer.output() == [1, 2]

    @pytest.mark.parametrize("spell", ["sleep", "wait_for", "timeout", "to_thread"])
    async def test_what_nobody_could_repeat_is_refused_by_name(self, spell: str) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            if spell == "sleep":
                await asyncio.sleep(1)
            elif spell == "wait_for":
                call = ctx.step("a", one)
                try:
                    await asyncio.wait_for(call, 1)
                finally:
                    call.close()
            elif spell == "timeout":
                async with asyncio.timeout(1):
                    await ctx.step("a", one)
            else:
                await asyncio.to_thread(print)

        async with running(flow) as peer:
            assert peer.change("fail_run").failure.type == NotDurableError.__name__

    async def test_task_groups_events_and_queues_work(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> list[int]:
            queue: asyncio.Queue[int] = asyncio.Queue()

            async def branch(key: str) -> None:
                await queue.put(await ctx.step(key, give, len(key)))

            async with asyncio.TaskGroup() as group:
                group.create_task(branch("a"))
                group.create_task(branch("bb"))
                return [await queue.get(), await queue.get()]

        async with running(flow) as peer:
            assert peer.output() == [1, 2]


class TestWaits:
    @staticmethod
    def sleepy() -> Any:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> str:
            await ctx.sleep("nap", 3_600)
            return "woke"

        return flow

    async def test_a_long_sleep_sets_a_timer_and_suspends_and_replay_goes_on_behind_it(self) -> None:
        async with running(self.sleepy()) as peer:
            assert peer.changes() == ["set_timer:nap", "suspend_run"]
            assert peer.change("set_timer").delay_ms == 3_600_000
            assert peer.change("suspend_run").notices_seen == 2
            assert len(peer.clock.timers) == 3  # beat, watchdog, lease expiry: nothing of the run
            fired = worker_service_pb2.JournalTimerFired()
            peer.assign(2, "w", journal=[JournalEntry(step_key="nap", timer_fired=fired)])
            await turns()
            assert peer.output() == "woke"

    async def test_a_suspended_handler_is_unwound_by_a_base_exception(self) -> None:
        seen: list[str] = []

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            try:
                await asyncio.gather(ctx.sleep("a", 60), ctx.signal("b"))
            except Exception:
                seen.append("except Exception")
            except BaseException as error:
                seen.append(type(error).__name__)
                with pytest.raises(Unwound):
                    await ctx.step("undo", one)
                raise
            finally:
                seen.append("finally")

        async with running(flow) as peer:
            assert seen == ["Unwound", "finally"]
            assert peer.changes() == ["set_timer:a", "suspend_run"]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    async def test_a_handler_that_catches_its_unwinding_is_left_alone_and_the_worker_goes_on(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> str:
            if ctx.run_id == "run-1":
                while True:
                    try:
                        await asyncio.Event().wait() if ctx.step_keys else await ctx.sleep("nap", 60)
                    except BaseException:
                        continue
            return "fine"

        async with running(flow) as peer:
            assert any("catches its unwinding" in line for line in peer.logged)
            peer.assign(2, "w")
            await turns()
            assert peer.output() == "fine"
        gc.collect()  # the interpreter complains of such code where it drops it: here, not in another test

    async def test_a_suspend_names_all_signals_and_the_timers_that_are_due_first(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            late, soon = ctx.sleep("late", 7_200), ctx.sleep("soon", 3_600)
            await asyncio.gather(late, soon, *(ctx.signal(f"s{n}") for n in range(999)))

        async with running(flow) as peer:
            awaits = peer.change("suspend_run").awaits
            assert [wait.timer for wait in awaits if wait.timer] == ["soon"]
            assert [wait.signal for wait in awaits if wait.signal] == [f"s{n}" for n in range(999)]

    async def test_a_wait_for_more_signals_than_a_suspend_names_holds_the_lease(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await asyncio.gather(*(ctx.signal(f"s{n}") for n in range(1_001)))

        async with running(flow) as peer:
            assert (peer.changes(), peer.worker.health().held) == ([], 1)

    async def test_notices_pending_the_notice_is_worked_off_and_the_run_goes_on(self) -> None:
        pending = when("suspend_run", lambda _: refused(reasons.ERROR_REASON_NOTICES_PENDING))
        async with running(self.sleepy(), pending) as peer:
            assert peer.worker.health().held == 1
            peer.notice(1, 5, timer_fired="nap")
            await turns()
            assert peer.output() == "woke"
            assert peer.ops()[-1].after_refused == 2

    async def test_notices_pending_without_a_notice_gives_the_run_back(self) -> None:
        pending = when("suspend_run", lambda _: refused(reasons.ERROR_REASON_NOTICES_PENDING))
        async with running(self.sleepy(), pending) as peer:
            await peer.clock.advance(2_000)
            assert peer.kinds()[-1] == "release"
            assert peer.worker.health().held == 0

    async def test_a_signal_that_is_there_is_consumed_and_one_that_comes_later_too(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> list[Any]:
            return [await ctx.signal("go"), await ctx.signal("go"), ctx.step_keys]

        count = 0

        def script(op: Op) -> OpResult | None:
            nonlocal count
            kind = op.changes[0].WhichOneof("change")
            if kind == "suspend_run":
                return refused(reasons.ERROR_REASON_NOTICES_PENDING)
            if kind != "consume_signal":
                return None
            count += 1
            return outcome(signal=change_pb2.ConsumedSignal(signal_id=3, payload=payload({"n": count})))

        async with running(flow, script, open_signals=[Signal(signal_id=2, name="go")]) as peer:
            peer.notice(1, 6, signal=Signal(signal_id=6, name="go"))
            await turns()
            assert peer.output() == [{"n": 1}, {"n": 2}, ["go", "go#2"]]

    async def test_a_wait_with_a_timeout_is_none_when_its_timer_fires(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> Any:
            return await ctx.signal("go", timeout=0.5) or "timed out"

        async with running(flow) as peer:
            timer = peer.change("set_timer")
            assert (timer.step_key, timer.signal_name, timer.delay_ms) == ("go", "go", 500)
            peer.notice(1, 4, timer_fired="go")
            await turns()
            assert peer.output() == "timed out"

    async def test_no_suspend_while_another_branch_runs_a_step(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await asyncio.gather(ctx.sleep("nap", 60), ctx.step("work", hang))

        async with running(flow) as peer:
            assert peer.changes() == ["set_timer:nap", "start_step:work"]

    async def test_a_branch_that_the_code_cancels_takes_no_signal_any_more(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> Any:
            waiting = asyncio.create_task(ctx.signal("go", key="loser"))
            await ctx.step("a", one)
            waiting.cancel()
            return await ctx.signal("go", key="winner")

        consume = when(
            "consume_signal",
            lambda taken: outcome(signal=change_pb2.ConsumedSignal(signal_id=3, payload=payload(taken.step_key))),
        )
        pending = when("suspend_run", lambda _: refused(reasons.ERROR_REASON_NOTICES_PENDING))
        async with running(flow, lambda op: consume(op) or pending(op)) as peer:
            peer.notice(1, 9, signal=Signal(signal_id=9, name="go"))
            await turns()
            assert peer.output() == "winner"


class TestCancel:
    @staticmethod
    def cleanup() -> Any:
        async def undo() -> bool:
            return current_attempt().cancelled

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            try:
                await ctx.step("a", one)
                await ctx.sleep("nap", 0.5)
            finally:
                await ctx.step("undo", undo)

        return flow

    async def test_a_wait_ends_cleanup_steps_run_and_the_run_ends_cancelled(self) -> None:
        async with running(self.cleanup()) as peer:
            peer.notice(1, 9, cancel=worker_service_pb2.CancelNotice(reason="enough", grace_ms=30_000))
            await turns()
            assert peer.changes() == ["complete_step:a", "set_timer:nap", "complete_step:undo", "cancelled_run"]
            assert peer.change("complete_step").output.json == "false"

    async def test_a_cancel_from_before_the_grant_counts_behind_what_is_recorded(self) -> None:
        timer = JournalEntry(step_key="nap", timer=worker_service_pb2.JournalTimer(delay_ms=400))
        async with running(self.cleanup(), journal=[completed("a", 1), timer], cancel_requested=True) as peer:
            assert peer.changes() == ["complete_step:undo", "cancelled_run"]

    async def test_a_running_step_is_cancelled_and_that_is_no_failed_attempt(self) -> None:
        seen: list[Any] = []

        async def fetch() -> None:
            try:
                await hang()
            finally:
                seen.append(current_attempt().cancel_reason)

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            try:
                await ctx.step("fetch", fetch)
            finally:
                seen.append(ctx.cancelled)

        async with running(flow) as peer:
            peer.notice(1, 9, cancel=worker_service_pb2.CancelNotice())
            await turns()
            assert isinstance(seen[0], CancelledError)
            assert seen[1] is True
            assert peer.changes() == ["start_step:fetch", "cancelled_run"]

    async def test_a_step_in_a_thread_sees_the_cancel_on_its_attempt(self) -> None:
        def wait() -> None:
            attempt = current_attempt()
            assert attempt.wait_cancelled(30)
            attempt.raise_if_cancelled()

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("wait", wait)

        async with running(flow) as peer:
            peer.notice(1, 9, cancel=worker_service_pb2.CancelNotice())
            while "cancelled_run" not in peer.changes():
                await asyncio.sleep(0.01)
            assert peer.changes() == ["start_step:wait", "cancelled_run"]

    async def test_a_back_off_ends(self) -> None:
        async def flaky() -> None:
            raise ValueError("no")

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("flaky", flaky)

        async with running(flow, planned(4_000)) as peer:
            peer.notice(1, 9, cancel=worker_service_pb2.CancelNotice())
            await turns()
            assert peer.changes() == ["fail_step:flaky", "cancelled_run"]

    async def test_a_task_group_that_carries_the_cancel_ends_the_run_cancelled(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.sleep("a", 0.5))
                group.create_task(ctx.sleep("b", 0.5))

        async with running(flow) as peer:
            peer.notice(1, 9, cancel=worker_service_pb2.CancelNotice())
            await turns()
            assert peer.changes()[-1] == "cancelled_run"

    async def test_a_check_between_steps(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("a", one)
            ctx.raise_if_cancelled()
            await ctx.step("b", one)

        async with running(flow, journal=[completed("a", 1)], cancel_requested=True) as peer:
            assert peer.changes() == ["cancelled_run"]

    async def test_pause_begins_no_new_step_and_gives_the_lease_back(self) -> None:
        finish = asyncio.Event()

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("a", finish.wait)
            await ctx.step("b", one)

        async with running(flow) as peer:
            peer.notice(1, 9, pause=worker_service_pb2.PauseNotice())
            await turns()
            finish.set()
            await turns()
            assert peer.changes() == ["start_step:a", "complete_step:a"]
            assert peer.kinds()[-1] == "release"

    async def test_a_non_retryable_error_says_so(self) -> None:
        async def pay() -> None:
            raise NonRetryableError("declined", type="CardDeclined", details={"code": 5})

        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None:
            await ctx.step("a", pay)

        async with running(flow) as peer:
            failure = peer.change("fail_step").failure
            assert (failure.type, failure.non_retryable, failure.details.json) == ("CardDeclined", True, '{"code":5}')
