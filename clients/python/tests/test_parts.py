"""Parts without a server: keys, journal, codec, failures, back-off, durations, retry options, definitions."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import random
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from everstep import (
    CancelledError,
    Client,
    EverstepError,
    InvalidArgumentError,
    JsonCodec,
    PayloadCodecError,
    PayloadTooLargeError,
    RetryAfterError,
    RetryOptions,
    StepFailedError,
    Worker,
    WorkflowContext,
    current_attempt,
    workflow,
)
from everstep._backoff import RECONNECT_BACKOFF, full_jitter_ms, slow_delay_ms
from everstep._connection import _parse_address
from everstep._gen import failure_pb2, payload_pb2, retry_policy_pb2, worker_service_pb2
from everstep._journal import Journal, kind_of
from everstep._keys import StepKeys, check_key
from everstep._ports import system_new_id
from everstep._reconnect import Reconnect
from everstep.codec import decode_payload, encode_optional, encode_payload, encode_within
from everstep.durations import milliseconds_of
from everstep.failure import carries_cancel, failed_steps, to_error, to_failure, to_failure_info
from everstep.retry_options import to_retry_policy
from everstep.step_attempt import RunningAttempt
from tests.peer import Peer, PeerPorts, completed


class TestStepKeys:
    @pytest.mark.parametrize("key", ["a#1", "#22", "x#0", "", 5, None, "x" * 1_025, "half \ud800"])
    def test_refuses_what_cannot_be_one(self, key: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            check_key("step key", key)

    @pytest.mark.parametrize("key", ["a", "a#", "a#b", "42", "a#1b", "ä/ \u0000 '\"", "a#٣"])
    def test_takes_everything_else(self, key: str) -> None:
        assert check_key("step key", key) == key

    def test_are_unique_for_every_use(self) -> None:
        chance = random.Random(7)
        for _ in range(100):
            keys = StepKeys()
            claimed = []
            for _ in range(chance.randrange(30)):
                base = chance.choice("abc")
                claimed.append(keys.claim(base))
                keys.release(base)
            assert len(set(claimed)) == len(claimed)
            assert set(keys.list()) == set(claimed)

    def test_in_use_are_ambiguous(self) -> None:
        keys = StepKeys()
        keys.claim("a")
        with pytest.raises(EverstepError) as raised:
            keys.claim("a")
        assert raised.value.reason == "AMBIGUOUS_STEP_KEY"


class TestJournal:
    def test_hands_results_over_in_the_recorded_order_and_lets_go_of_what_nobody_asks_for(self) -> None:
        deferred: list[Callable[[], None]] = []
        journal = Journal(deferred.append)
        journal.add([completed("skipped", 0), completed("b", 2), completed("a", 1)])
        handed: list[str] = []
        journal.deliver("a", lambda: handed.append("a"))
        journal.deliver("b", lambda: handed.append("b"))
        assert (handed, journal.replaying) == ([], True)
        while deferred:
            deferred.pop(0)()
        assert (handed, journal.replaying) == (["b", "a"], False)

    def test_a_result_stays_and_anything_else_gives_way(self) -> None:
        journal = Journal(lambda call: None)
        started = worker_service_pb2.JournalEntry(step_key="a", started=worker_service_pb2.JournalStarted(attempt=1))
        retrying = worker_service_pb2.JournalEntry(step_key="a", retrying=worker_service_pb2.JournalRetrying(attempt=1))
        journal.add([started, completed("a", 1), retrying])
        found = journal.find("a")
        assert found is not None
        assert found.WhichOneof("entry") == "completed"
        assert kind_of(found) == "step"
        assert kind_of(worker_service_pb2.JournalEntry(step_key="later")) == "unknown entry"


class TestCodec:
    @pytest.mark.parametrize("value", [0, 1.5, "ä\n", True, [1, None], {"a": {"b": []}}, ""])
    def test_reads_back_what_json_can_say(self, value: Any) -> None:
        assert decode_payload(JsonCodec(), encode_payload(JsonCodec(), value)) == value

    def test_none_is_null_or_left_out_and_bytes_stay_bytes(self) -> None:
        assert encode_payload(JsonCodec(), None) == payload_pb2.Payload(json="null")
        assert encode_optional(JsonCodec(), None) is None
        assert decode_payload(JsonCodec(), payload_pb2.Payload(json="null")) is None
        assert decode_payload(JsonCodec(), payload_pb2.Payload()) is None
        assert decode_payload(JsonCodec(), encode_payload(JsonCodec(), b"\x01\x02")) == b"\x01\x02"

    def test_counts_bytes(self) -> None:
        assert encode_within(JsonCodec(), "ä" * 10, lambda: "it", 22)[1] == 22
        with pytest.raises(PayloadTooLargeError, match="it has 22 bytes, the limit is 21"):
            encode_within(JsonCodec(), "ä" * 10, lambda: "it", 21)

    @pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, "half \ud800"])
    def test_what_cannot_be_encoded_is_a_named_error(self, value: Any) -> None:
        with pytest.raises(PayloadCodecError):
            encode_payload(JsonCodec(), value)

    def test_what_cannot_be_decoded_is_a_named_error(self) -> None:
        with pytest.raises(PayloadCodecError, match="configure a codec"):
            decode_payload(JsonCodec(), payload_pb2.Payload(json="1", encoding="zip"))


class TestFailures:
    def test_keep_type_causes_and_details_both_ways(self) -> None:
        error = IndexError("outer")
        error.__cause__ = TypeError("inner")
        error.details = {"a": 1}  # type: ignore[attr-defined]
        back = to_error(to_failure_info(to_failure(error)))
        assert (back.type, str(back), back.details) == ("IndexError", "IndexError: outer", {"a": 1})
        assert str(back.__cause__) == "TypeError: inner"

    def test_are_at_most_eight_deep_even_for_a_cause_that_contains_itself(self) -> None:
        error = ValueError("loop")
        error.__cause__ = error
        failure: failure_pb2.Failure = to_failure(error)
        depth = 1
        while failure.HasField("cause"):
            failure = failure.cause
            depth += 1
        assert depth == 8

    def test_are_cut_to_their_limits_and_are_text_whatever_was_raised(self) -> None:
        class Odd(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        assert "cannot be read" in to_failure(Odd()).message
        long = to_failure(ValueError("ä" * 100_000))
        assert len(long.message.encode()) <= 16_384
        assert to_failure(ValueError("half \ud800")).message == "half ?"
        assert to_failure(RetryAfterError("later", 1.5)).retry_after_ms == 1_500
        assert to_failure(RetryAfterError("later", float("nan"))).retry_after_ms == 0

    def test_come_through_whatever_of_the_error_cannot_be_read(self) -> None:
        class Odd(ExceptionGroup[Exception]):
            def __getattribute__(self, name: str) -> Any:
                if name == "__class__":
                    return Odd
                raise RuntimeError(f"no {name}")

        odd = Odd("m", [ValueError("x")])
        assert to_failure(odd).type == "Odd"
        assert (failed_steps(odd), carries_cancel(odd)) == ([], False)
        assert to_failure(RetryAfterError("later", cast(Any, "soon"))).retry_after_ms == 0

    def test_the_stack_names_where_it_was_raised(self) -> None:
        with pytest.raises(EverstepError) as raised:
            current_attempt()
        assert "test_parts.py" in to_failure(raised.value).stack

    def test_name_the_steps_and_the_cancel_that_they_carry(self) -> None:
        info = to_failure_info(to_failure(ValueError("x")))
        carried = ExceptionGroup("g", [StepFailedError("a", 1, info), StepFailedError("b", 1, info)])
        outer = RuntimeError("outer")
        outer.__cause__ = carried
        assert failed_steps(outer) == ["a", "b"]
        assert not carries_cancel(outer)
        assert carries_cancel(ExceptionGroup("g", [CancelledError("r")]))
        assert to_failure(carried).cause.type == "StepFailed"


def test_full_jitter_stays_within_its_exponential_bound() -> None:
    chance = random.Random(7)
    for failures in range(1, 200):
        delay_ms = full_jitter_ms(failures, RECONNECT_BACKOFF, chance.random)
        assert 0 <= delay_ms <= min(30_000, 200 * 2 ** (failures - 1))
        assert 30_000 <= slow_delay_ms(chance.random) <= 60_000


def test_the_pause_before_a_new_stream_grows_to_its_cap_and_begins_anew_after_a_welcome() -> None:
    peer = Peer()
    ports = PeerPorts(peer)
    ports.random = lambda: 1.0  # type: ignore[method-assign]
    reconnect = Reconnect(ports)
    pauses = [reconnect.next_delay_ms(False) for _ in range(10)]
    assert pauses == [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]
    assert peer.renewals == 3
    assert reconnect.next_delay_ms(True) == 60_000
    reconnect.succeeded()
    assert reconnect.next_delay_ms(False) == 200


def test_retry_options_become_a_policy_and_at_most_once_means_one_attempt_unless_the_code_says_otherwise() -> None:
    assert to_retry_policy(None, False) is None
    once = to_retry_policy(None, True)
    assert once is not None
    assert once.max_attempts == 1
    policy = to_retry_policy(RetryOptions(delays=[0.001, timedelta(milliseconds=2.5)], max_attempts=0), True)
    assert policy is not None
    assert (policy.backoff, list(policy.delays_ms)) == (retry_policy_pb2.BACKOFF_KIND_LISTED, [1, 3])
    assert policy.HasField("max_attempts")
    assert not policy.HasField("factor")


@pytest.mark.parametrize(
    ("duration", "milliseconds"), [(0, 0), (0.1, 100), (0.0001, 1), (timedelta(days=1), 86_400_000)]
)
def test_durations_are_rounded_up_to_milliseconds(duration: float | timedelta, milliseconds: int) -> None:
    assert milliseconds_of("it", duration) == milliseconds


@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf"), 1e12, "1", None, True, timedelta(seconds=-1)])
def test_wrong_durations_are_refused(duration: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^it is"):
        milliseconds_of("it", duration)


def test_run_ids_are_uuid7_and_in_order_of_time() -> None:
    ids = [system_new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(text[14] == "7" and text[19] in "89ab" for text in ids)
    assert [text[:13] for text in ids] == sorted(text[:13] for text in ids)


class TestDefinitions:
    def test_a_workflow_has_a_name_and_an_async_function(self) -> None:
        @workflow()
        async def order(ctx: WorkflowContext, input: dict[str, int]) -> int:
            return input["cents"]

        assert order.name == "order"
        with pytest.raises(InvalidArgumentError, match="async def"):
            workflow(name="plain")(test_run_ids_are_uuid7_and_in_order_of_time)  # type: ignore[arg-type]

        async def named(ctx: WorkflowContext) -> None: ...

        for name in ("", "x" * 257):
            with pytest.raises(InvalidArgumentError, match="1 to 256 bytes"):
                workflow(name=name)(named)
        with pytest.raises(InvalidArgumentError, match="takes a context"):

            @workflow(name="three")  # type: ignore[arg-type]
            async def three(ctx: WorkflowContext, a: int, b: int) -> None: ...

    def test_a_worker_refuses_wrong_options_by_name(self) -> None:
        @workflow(name="w")
        async def flow(ctx: WorkflowContext) -> None: ...

        wrong: list[dict[str, Any]] = [
            {"workflows": []},
            {"workflows": [flow, flow]},
            {"workflows": [test_run_ids_are_uuid7_and_in_order_of_time]},
            {"workflows": [flow], "capacity": -1},
            {"workflows": [flow], "capacity": 1.5},
            {"workflows": [flow], "capacity": 100_001},
            {"workflows": [flow], "queues": "default"},
            {"workflows": [flow], "threads_max": 0},
            {"workflows": [flow], "address": "ftp://x"},
        ]
        for options in wrong:
            with pytest.raises(InvalidArgumentError):
                Worker(**options)

    @pytest.mark.parametrize("address", ["", "http://", "http://h:port", "http://h/path", "ws://h:1"])
    def test_a_client_refuses_a_wrong_address(self, address: str) -> None:
        if address:
            with pytest.raises(InvalidArgumentError, match="address"):
                Client(address)

    @pytest.mark.parametrize(
        ("address", "target"),
        [
            ("127.0.0.1:7420", ("127.0.0.1:7420", False)),
            ("http://h", ("h:80", False)),
            ("https://h/", ("h:443", True)),
            ("http://[::1]:7", ("[::1]:7", False)),
        ],
    )
    def test_addresses(self, address: str, target: tuple[str, bool]) -> None:
        assert _parse_address(address) == target


async def test_an_attempt_that_is_aborted_before_its_coroutine_began_says_so_and_leaves_nothing() -> None:
    async def never() -> None:
        raise AssertionError("it began")

    raised: list[BaseException] = []
    run = SimpleNamespace(crossing=SimpleNamespace(loop=asyncio.get_running_loop()), is_over=False, attempts=set())
    attempt = RunningAttempt.__new__(RunningAttempt)
    attempt.step = cast(Any, SimpleNamespace(run=run, raised=lambda _, error: raised.append(error)))
    attempt.info = cast(Any, SimpleNamespace(_stop=lambda reason: None))
    attempt.running, attempt._aborted, attempt._task, attempt._timeout = True, False, None, None
    coroutine = never()
    attempt._await(coroutine, contextvars.copy_context())
    attempt.abort(EverstepError("LEASE_LOST", "the lease is lost"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert [type(error) for error in raised] == [asyncio.CancelledError]
