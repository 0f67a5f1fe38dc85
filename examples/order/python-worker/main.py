"""A worker in Python: it shares the queue with workers in other languages that serve the same workflow."""

import asyncio
import os
import sys

from everstep import Worker, WorkflowContext, workflow


@workflow(name="parcel")
async def parcel(ctx: WorkflowContext, input: dict[str, int]) -> dict[str, object]:
    async def weigh() -> dict[str, object]:
        await asyncio.sleep(0.1)
        return {"grams": 100 * input["number"], "language": "Python"}

    return await ctx.step("weigh", weigh)


async def tell_when_ready(worker: Worker) -> None:
    while not worker.health().connected:
        await asyncio.sleep(0.01)
    print("ready", flush=True)


async def main() -> None:
    worker = Worker(address=sys.argv[1], workflows=[parcel], identity=f"python-worker-{os.getpid()}")
    await asyncio.gather(worker.run(), tell_when_ready(worker))


asyncio.run(main())
