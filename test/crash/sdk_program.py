"""A program on the client of the Python SDK. Arguments: address, queue, lanes.

Lanes start a run, signal it, wait for its result and start the next one, until SIGTERM; then each lane
waits for its last result. Each result is told as a line "finished" on standard output, each error that the program
meets as what it says.
"""

import asyncio
import signal
import sys

from everstep import Client, EverstepError

ADDRESS, QUEUE, LANES = sys.argv[1:4]
RESULT_TIMEOUT_SECONDS = 60


async def carry(client: Client) -> None:
    run = await client.start("torture", {"signal": True}, queue=QUEUE)
    await client.signal(run.run_id, "go")
    await client.result(run.run_id, timeout=RESULT_TIMEOUT_SECONDS)


async def main() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def lane(client: Client) -> None:
        while not stopping.is_set():
            try:
                await carry(client)
                print("finished", flush=True)
            except EverstepError as error:
                print(repr(error), flush=True)

    async with Client(address=ADDRESS) as client:
        await asyncio.gather(*(lane(client) for _ in range(int(LANES))))


asyncio.run(main())
