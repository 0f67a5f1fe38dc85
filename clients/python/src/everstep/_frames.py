"""Changes and frames of a worker, each built in the message that travels: nothing is copied on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._gen.change_pb2 import Change
from ._gen.event_pb2 import Await
from ._gen.failure_pb2 import Failure
from ._gen.lease_pb2 import Lease
from ._gen.payload_pb2 import Payload
from ._gen.retry_policy_pb2 import RetryPolicy
from ._gen.worker_service_pb2 import BeatLease, Hello, SessionRequest

if TYPE_CHECKING:
    from ._op_pipe import OutgoingOp

PROTOCOL_VERSION = 1


def start_step(
    step_key: str,
    attempt: int,
    *,
    at_most_once: bool,
    timeout_ms: int,
    retry_policy: RetryPolicy | None,
    input: Payload | None,
) -> Change:
    change = Change()
    start = change.start_step
    start.step_key = step_key
    start.attempt = attempt
    start.at_most_once = at_most_once
    start.timeout_ms = timeout_ms
    if input is not None:
        start.input.CopyFrom(input)
    if retry_policy is not None:
        start.retry_policy.CopyFrom(retry_policy)
    return change


def complete_step(step_key: str, attempt: int, output: Payload | None, elapsed_ms: int) -> Change:
    change = Change()
    completion = change.complete_step
    completion.step_key = step_key
    completion.attempt = attempt
    completion.elapsed_ms = elapsed_ms
    if output is not None:
        completion.output.CopyFrom(output)
    return change


def fail_step(
    step_key: str, attempt: int, failure: Failure, retry_policy: RetryPolicy | None, elapsed_ms: int
) -> Change:
    change = Change()
    failed = change.fail_step
    failed.step_key = step_key
    failed.attempt = attempt
    failed.elapsed_ms = elapsed_ms
    failed.failure.CopyFrom(failure)
    if retry_policy is not None:
        failed.retry_policy.CopyFrom(retry_policy)
    return change


def set_timer(step_key: str, delay_ms: int, signal_name: str) -> Change:
    change = Change()
    change.set_timer.step_key = step_key
    change.set_timer.delay_ms = delay_ms
    change.set_timer.signal_name = signal_name
    return change


def consume_signal(step_key: str, name: str) -> Change:
    change = Change()
    change.consume_signal.step_key = step_key
    change.consume_signal.name = name
    return change


def suspend_run(awaits: Iterable[Await], notices_seen: int) -> Change:
    change = Change()
    change.suspend_run.awaits.extend(awaits)
    change.suspend_run.notices_seen = notices_seen
    return change


def complete_run(output: Payload | None) -> Change:
    change = Change()
    change.complete_run.SetInParent()
    if output is not None:
        change.complete_run.output.CopyFrom(output)
    return change


def fail_run(failure: Failure, failed_steps: Iterable[str]) -> Change:
    change = Change()
    change.fail_run.failure.CopyFrom(failure)
    change.fail_run.failed_steps.extend(failed_steps)
    return change


def cancelled_run() -> Change:
    change = Change()
    change.cancelled_run.SetInParent()
    return change


def hello_frame(hello: Hello) -> SessionRequest:
    request = SessionRequest()
    request.frame.hello.CopyFrom(hello)
    return request


def capacity_frame(capacity: int) -> SessionRequest:
    request = SessionRequest()
    request.frame.capacity.SetInParent()
    request.frame.capacity.capacity = capacity
    return request


def accept_frame(leases: Iterable[Lease]) -> SessionRequest:
    request = SessionRequest()
    request.frame.accept.leases.extend(leases)
    return request


def release_frame(leases: Iterable[Lease], retry_after_ms: int) -> SessionRequest:
    request = SessionRequest()
    request.frame.release.leases.extend(leases)
    request.frame.release.retry_after_ms = retry_after_ms
    return request


def ops_frame(ops: Iterable[OutgoingOp]) -> SessionRequest:
    request = SessionRequest()
    frame = request.frame.ops.ops
    for op in ops:
        op.leave(frame.add())
    return request


def beat_frame(beat_seq: int, held: Iterable[BeatLease]) -> SessionRequest:
    request = SessionRequest()
    request.frame.beat.beat_seq = beat_seq
    request.frame.beat.held.extend(held)
    return request


def drain_frame() -> SessionRequest:
    request = SessionRequest()
    request.frame.drain.SetInParent()
    return request


def goodbye_frame() -> SessionRequest:
    request = SessionRequest()
    request.frame.goodbye.SetInParent()
    return request


def pong_frame(nonce: int) -> SessionRequest:
    request = SessionRequest()
    request.frame.pong.SetInParent()
    request.frame.pong.nonce = nonce
    return request
