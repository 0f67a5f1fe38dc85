"""The session against a scripted server and a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import everstep
from everstep import LeaseLostError, Worker, WorkflowContext, current_attempt, workflow
from everstep._gen import error_reason_pb2 as reasons
from everstep._gen import worker_service_pb2
from everstep._gen.change_pb2 import Op, OpResult
from tests.peer import Peer, applied, lease_id_of, refused, turns


@asynccontextmanager
async def serving(*workflows: Any, **options: Any) -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start(*workflows, **options)
    try:
        yield peer
    finally:
        await peer.worker.close()


async def number(value: int) -> int:
    return value


@workflow(name="five")
async def five(ctx: WorkflowContext) -> int:
    return sum([await ctx.step(f"s{step}", number, step) for step in range(1, 6)])


class Hanging:
    """A step that never ends, and what became of its attempt."""

    def __init__(self) -> None:
        self.attempt: everstep.StepAttempt | None = None
        self.stopped = False

        @workflow(name="hanging")
        async def hanging(ctx: WorkflowContext) -> None:
            await ctx.step("hang", self._hang)

        self.workflow = hanging

    async def _hang(self) -> None:
        self.attempt = current_attempt()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True


async def test_hello_beat_accept_before_ops_and_a_run_to_its_end() -> None:
    async with serving(five, capacity=7, queues=["q"]) as peer:
        hello = peer.frames[0].hello
        assert (hello.protocol_version, hello.capacity, list(hello.queues)) == (1, 7, ["q"])
        assert (list(hello.workflows), len(hello.held)) == (["five"], 0)
        peer.assign(1, "five")
        await turns(20)
        assert peer.kinds()[:4] == ["hello", "beat", "accept", "ops"]
        assert peer.changes() == [*(f"complete_step:s{step}" for step in range(1, 6)), "complete_run"]
        assert peer.output() == 15
        health = peer.worker.health()
        assert (health.connected, health.session_state, health.held) == (True, "active", 0)


async def test_ops_of_many_runs_leave_in_one_frame() -> None:
    async with serving(five) as peer:
        for run in range(1, 51):
            peer.assign(run, "five")
        await turns(20)
        assert len(peer.ops()) == 300
        assert peer.kinds().count("ops") == 6
        assert peer.kinds().count("accept") == 1


async def test_a_ping_gets_its_pong_and_a_workflow_that_is_not_here_is_released() -> None:
    async with serving(five) as peer:
        peer.send(ping=worker_service_pb2.Ping(nonce=9))
        peer.assign(1, "other")
        await turns()
        assert peer.frames[-2].pong.nonce == 9
        assert peer.frames[-1].release.retry_after_ms == 5_000


async def test_a_lease_that_is_assigned_twice_is_run_once() -> None:
    hanging = Hanging()
    async with serving(hanging.workflow) as peer:
        peer.assign(1, "hanging")
        peer.assign(1, "hanging")
        await turns()
        assert peer.changes() == ["start_step:hang"]
        assert peer.worker.health().held == 1


async def test_after_a_cut_hello_lists_what_is_held_and_ops_without_a_result_are_sent_again() -> None:
    async with serving(five) as peer:
        peer.answer = lambda op, index: None
        peer.assign(1, "five")
        await turns()
        assert peer.changes() == ["complete_step:s1"]
        peer.cut()
        health = peer.worker.health()
        assert (health.connected, health.session_state, health.held) == (False, "waiting", 1)
        assert health.last_error == "cut"
        peer.answer = applied
        peer.frames.clear()
        await peer.clock.advance(200)
        await turns(20)
        hello = peer.frames[0].hello
        assert hello.resume.session_id == "session-1"
        assert [(held.lease.run_id, held.lease.epoch, held.notices_seen) for held in hello.held] == [("run-1", 7, 2)]
        assert (peer.changes()[0], peer.ops()[0].op_id) == ("complete_step:s1", 1)
        assert peer.changes()[-1] == "complete_run"


async def test_a_verdict_of_lost_stops_the_handler_and_nothing_more_is_sent_for_it() -> None:
    hanging = Hanging()
    async with serving(hanging.workflow) as peer:
        peer.assign(1, "hanging")
        await turns()
        assert peer.changes() == ["start_step:hang"]
        peer.kept = lambda lease_id: False
        peer.cut()
        await peer.clock.advance(200)
        assert hanging.stopped
        assert hanging.attempt is not None
        assert isinstance(hanging.attempt.cancel_reason, LeaseLostError)
        assert peer.worker.health().held == 0
        assert peer.changes() == ["start_step:hang"]


async def test_silence_opens_a_new_stream_and_an_unconfirmed_lease_is_given_up_at_five_sixths_of_the_ttl() -> None:
    hanging = Hanging()
    async with serving(hanging.workflow) as peer:
        peer.assign(1, "hanging")
        await turns()
        peer.silent = True
        await peer.clock.advance(24_000)
        assert (peer.streams, hanging.stopped) == (1, False)
        await peer.clock.advance(2_000)
        assert hanging.stopped
        await peer.clock.advance(40_000)
        assert peer.streams > 2


async def test_a_beat_each_third_of_the_ttl_confirms_what_is_held() -> None:
    hanging = Hanging()
    async with serving(hanging.workflow) as peer:
        peer.assign(1, "hanging")
        await turns()
        await peer.clock.advance(100_000)
        assert not hanging.stopped
        beats = [frame.beat for frame in peer.frames if frame.WhichOneof("frame") == "beat"]
        assert [beat.beat_seq for beat in beats] == list(range(1, 12))
        assert [held.lease_id for held in beats[-1].held] == [lease_id_of(1)]


async def test_a_kept_lease_is_confirmed_by_its_verdict_also_when_no_beat_gets_through() -> None:
    hanging = Hanging()
    async with serving(hanging.workflow) as peer:
        peer.assign(1, "hanging")
        await turns()
        peer.deaf = True
        for _ in range(12):
            await peer.clock.advance(10_000)
            peer.cut()
        assert not hanging.stopped
        assert peer.worker.health().held == 1


async def test_go_away_comes_back_after_the_named_time_and_a_part_of_the_jitter() -> None:
    async with serving(five) as peer:
        peer.send(go_away=worker_service_pb2.GoAway(reconnect_after_ms=4_000, jitter_ms=2_000))
        peer.cut()
        await peer.clock.advance(4_900)
        assert peer.streams == 1
        await peer.clock.advance(200)
        assert peer.streams == 2


async def test_an_error_that_waiting_does_not_heal_takes_the_slow_path_and_says_so() -> None:
    async with serving(five) as peer:
        peer.permanent = True
        peer.cut()
        await peer.clock.advance(44_000)
        assert peer.streams == 1
        await peer.clock.advance(2_000)
        assert peer.streams == 2
        assert "the stream ended" in peer.logged


async def test_a_new_connection_after_three_failures_and_no_end_of_trying() -> None:
    async with serving(five) as peer:
        peer.silent = True
        for _ in range(30):
            peer.cut()
            await peer.clock.advance(31_000)
        assert peer.streams >= 30
        assert peer.renewals >= 9


async def test_an_unknown_session_says_hello_anew() -> None:
    async with serving(five) as peer:
        refusal = worker_service_pb2.FrameRefused(reason=reasons.ERROR_REASON_SESSION_UNKNOWN, message="who?")
        peer.send(frame_refused=refusal)
        await peer.clock.advance(200)
        assert not peer.frames[-1].hello.HasField("resume") or peer.frames[-2].hello.resume.session_id == ""
        hellos = [frame.hello for frame in peer.frames if frame.WhichOneof("frame") == "hello"]
        assert not hellos[-1].HasField("resume")


async def test_revoke_and_lease_lost_end_the_handler() -> None:
    async with serving(five) as peer:
        peer.answer = lambda op, index: refused(reasons.ERROR_REASON_LEASE_LOST, lease_lost=True)
        peer.assign(1, "five")
        await turns()
        assert peer.changes() == ["complete_step:s1"]
        assert peer.worker.health().held == 0
        peer.answer = lambda op, index: None
        peer.assign(2, "five")
        await turns()
        peer.send(revoke=worker_service_pb2.Revoke(leases=[worker_service_pb2.LostLease(lease_id=lease_id_of(2))]))
        assert peer.worker.health().held == 0


async def test_a_busy_server_later_ops_wait_and_the_first_new_one_acknowledges_the_refusal() -> None:
    @workflow(name="parallel")
    async def parallel(ctx: WorkflowContext) -> int:
        return sum(await asyncio.gather(ctx.step("a", number, 1), ctx.step("b", number, 2)))

    busy = True

    def answer(op: Op, index: int) -> OpResult:
        nonlocal busy
        if not busy:
            return applied(op)
        if index == 1:
            busy = False
        reason = reasons.ERROR_REASON_BUSY if index == 0 else reasons.ERROR_REASON_PRECEDING_FAILED
        return refused(reason, retryable=True)

    async with serving(parallel) as peer:
        peer.answer = answer
        peer.assign(1, "parallel")
        await turns()
        await peer.clock.advance(6_000)
        await turns()
        sent = [(op.op_id, op.after_refused) for op in peer.ops()]
        assert sent == [(1, 0), (2, 0), (1, 0), (2, 1), (3, 0)]
        assert peer.changes()[-1] == "complete_run"


async def test_drain_lets_running_steps_finish_begins_no_new_one_and_says_goodbye_last() -> None:
    finish = asyncio.Event()

    @workflow(name="slow")
    async def slow(ctx: WorkflowContext) -> None:
        await ctx.step("one", finish.wait)
        await ctx.step("two", number, 2)

    async with serving(slow) as peer:
        peer.assign(1, "slow")
        await turns()
        drained = asyncio.ensure_future(peer.worker.drain())
        await turns()
        assert "drain" in peer.kinds()
        health = peer.worker.health()
        assert (health.held, health.session_state) == (1, "draining")
        finish.set()
        await drained
        assert peer.changes() == ["start_step:one", "complete_step:one"]
        assert peer.kinds()[-2:] == ["release", "goodbye"]
        assert not peer.clock.timers
        assert peer.closed


async def test_drain_stops_a_step_that_does_not_end_when_the_time_is_over() -> None:
    hanging = Hanging()
    async with serving(hanging.workflow) as peer:
        peer.assign(1, "hanging")
        await turns()
        drained = asyncio.ensure_future(peer.worker.drain(3))
        await turns()
        await peer.clock.advance(3_000)
        await drained
        await turns(1)
        assert hanging.stopped
        assert peer.kinds()[-2:] == ["release", "goodbye"]


async def test_async_with_drains() -> None:
    peer = Peer()
    await peer.start(five)
    async with peer.worker as worker:
        assert isinstance(worker, Worker)
        peer.assign(1, "five")
        await turns()
    assert peer.kinds()[-1] == "goodbye"
    assert peer.worker.health().session_state == "closed"
