"""A worker process of the Python SDK. Arguments: address, queue, sink, identity, kill point (see sdk-worker.ts)."""

import asyncio
import json
import os
import random
import signal
import sys
import time

from everstep import Worker, WorkflowContext, current_attempt, workflow

ADDRESS, QUEUE, SINK, IDENTITY, KILL_POINT = (*sys.argv[1:], "")[:5]
calls = 0
sink = os.open(SINK, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stand_still() -> None:
    """Stops the process, by the signal itself or a moment later; returns when it goes on, at once: its report is early."""
    before = time.monotonic()
    os.kill(os.getpid(), signal.SIGSTOP)
    while (now := time.monotonic()) - before < 0.3:
        before = now


async def call() -> str:
    global calls
    calls += 1
    number = calls
    if (KILL_POINT, number) in (("before", 2), ("acked", 4)):
        die()
    attempt = current_attempt()
    nonce = f"{IDENTITY}/{os.getpid()}/{number}"
    line = {"run": attempt.run_id, "key": attempt.step_key, "attempt": attempt.attempt, "nonce": nonce}
    os.write(sink, (json.dumps(line) + "\n").encode())
    await asyncio.sleep(random.random() * 0.005)
    if KILL_POINT == "slow":
        await asyncio.sleep(0.5)
    if KILL_POINT == "patient":
        await asyncio.sleep(5)
    if number != 2:
        return nonce
    if KILL_POINT == "after":
        die()
    elif KILL_POINT == "during":
        # The session has a thread of its own: the result is on its way while this loop turns.
        asyncio.get_running_loop().call_later(0.0005, die)
    elif KILL_POINT == "hold":
        await asyncio.sleep(600)
    elif KILL_POINT == "stop":
        stand_still()
    return nonce


@workflow(name="torture")
async def torture(ctx: WorkflowContext, input: dict[str, bool]) -> str:
    await ctx.step("a", call)
    await ctx.sleep("nap", 0.03)
    await asyncio.gather(ctx.step("b", call), ctx.step("c", call))
    if input.get("signal"):
        await ctx.signal("go", timeout=600)
    await ctx.step("d", call)
    return ctx.run_id


async def main() -> None:
    worker = Worker(address=ADDRESS, queues=[QUEUE], workflows=[torture], identity=IDENTITY, capacity=20)
    await worker.run()


asyncio.run(main())
