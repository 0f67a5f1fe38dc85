"""What concerns a whole process: signals, forks, imports. Each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.server_process import ServerProcess


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "default", "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )


SIGNALLED = """
import asyncio, sys
from everstep import Client, Worker, workflow

@workflow(name="signalled")
async def signalled(ctx):
    await ctx.step("one", step)
    await ctx.step("two", asyncio.sleep, 60)

async def step():
    print("working", flush=True)
    await asyncio.sleep(0.2)
    print("finished", flush=True)

async def main():
    async with Client(sys.argv[1]) as client:
        run = await client.start(signalled, run_id=sys.argv[2])
        await Worker(workflows=[signalled], address=sys.argv[1]).run()
        print((await run.get()).status, flush=True)

asyncio.run(main())
"""


def test_sigterm_drains_running_steps_finish_and_the_run_is_given_back(server: ServerProcess) -> None:
    process = python(SIGNALLED, server.url, "signalled-1")
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert output.splitlines() == ["finished", "QUEUED"], errors
    assert (process.returncode, errors) == (0, "")


FORKED = """
import asyncio, os, sys
from everstep import Client, ForkedError, Worker, workflow

@workflow(name="forked")
async def forked(ctx):
    return 1

async def works(client):
    async with client, Worker(workflows=[forked], address=sys.argv[1]):
        run = await client.start(forked)
        return await run.result(timeout=30)

def in_child(call):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        call()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def refused():
    for client in (used, unused, Client(sys.argv[1])):
        try:
            asyncio.run(client.get("some run"))
        except ForkedError as error:
            print(error.reason, "or start processes by spawn" in str(error))
    try:
        asyncio.run(Worker(workflows=[forked], address=sys.argv[1]).run())
    except ForkedError as error:
        print(error.reason)

used, unused = Client(sys.argv[1]), Client(sys.argv[1])
in_child(lambda: print("before:", asyncio.run(works(unused))))
asyncio.run(used.start("idle"))
in_child(refused)
asyncio.run(used.start("idle"))
print("parent goes on")
asyncio.run(used.close())
"""


def test_a_fork_after_a_connection_is_refused_by_name_and_one_before_works(
    server: ServerProcess,
) -> None:
    process = python(FORKED, server.url)
    output, errors = process.communicate(timeout=60)
    expected = ["before: 1", *["FORKED True"] * 3, "FORKED", "parent goes on"]
    assert output.splitlines() == expected, errors


def test_importing_and_constructing_starts_no_thread_and_opens_no_channel() -> None:
    process = python(
        "import threading, everstep; everstep.Client(); print(threading.active_count(), everstep.__version__)"
    )
    output, errors = process.communicate(timeout=60)
    assert output == "1 0.1.0\n", errors
