"""The real SDK worker, in its own process: five steps of almost no work each. Prints how many runs it ended.

run5_worker.py URL CAPACITY
"""

import asyncio
import cProfile
import os
import sys

from everstep import Worker, WorkflowContext, workflow

finished = 0


async def step() -> str:
    return "twenty bytes of step"


@workflow(name="bench")
async def bench(ctx: WorkflowContext) -> str:
    global finished
    for key in ("a", "b", "c", "d", "e"):
        await ctx.step(key, step)
    finished += 1
    return "done"


async def tell() -> None:
    while True:
        print(finished, flush=True)
        await asyncio.sleep(0.02)


async def main() -> None:
    telling = asyncio.create_task(tell())
    await Worker(address=sys.argv[1], workflows=[bench], capacity=int(sys.argv[2])).run()
    telling.cancel()


folder = os.environ.get("EVERSTEP_BENCH_WORKER_PROFILE")
if folder is None:
    asyncio.run(main())
else:  # of the loop of the workflows; the session has a thread of its own
    cProfile.run("asyncio.run(main())", f"{folder}/python-{os.getpid()}.prof")
