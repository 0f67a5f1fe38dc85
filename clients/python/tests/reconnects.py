"""Cuts the connection of one worker again and again, and prints what the process holds: memory, tasks, threads, files.

``python -m tests.reconnects 10000``, or ``npm run reconnects:python``. Exits 1 when it grew.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from everstep import Client, Worker, WorkflowContext, workflow
from everstep._connection import Connection
from everstep._grpc_ports import GrpcPorts
from tests.server_process import ServerProcess


class ImpatientPorts(GrpcPorts):
    """Full jitter may draw 0: then the worker comes back at once."""

    def random(self) -> float:
        return 0.0


class Proxy:
    """Between worker and server; ``cut`` ends every connection through it."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._target = host, int(port)
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outer_reader, outer_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, outer_writer}
        await asyncio.gather(self._pipe(reader, outer_writer), self._pipe(outer_reader, writer))
        self._writers -= {writer, outer_writer}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


def sample(reconnects: int, io_loop: asyncio.AbstractEventLoop, started_at: float) -> dict[str, Any]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "reconnects": reconnects,
        "rssMiB": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        "tasks": len(asyncio.all_tasks(io_loop)),
        "objects": len(gc.get_objects()),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "seconds": round(time.monotonic() - started_at, 1),
    }


async def run(total: int) -> bool:
    release = asyncio.Event()

    @workflow(name="held")
    async def held(ctx: WorkflowContext) -> str:
        await ctx.step("hold", release.wait)
        return "kept"

    server = ServerProcess(Path(tempfile.mkdtemp()) / "runs.db")
    proxy = Proxy(server.url)
    address = await proxy.start()
    ports = ImpatientPorts(Connection(address, None, None))
    worker = await Worker(workflows=[held], log=lambda *_: None, _ports=ports).start()
    client = Client(server.url)
    handle = await client.start(held)
    started_at = time.monotonic()
    series = []
    session = worker._session
    assert session is not None
    for count in range(total + 1):
        while not (session.connected and session.held == 1):
            await asyncio.sleep(0.001)
        if count % max(total // 10, 1) == 0:
            series.append(sample(count, ports.io.loop(), started_at))
            sys.stdout.write(json.dumps(series[-1]) + "\n")
            sys.stdout.flush()
        if count < total:
            proxy.cut()
            while session.connected:
                await asyncio.sleep(0.0005)
    release.set()
    kept = await handle.result(timeout=60) == "kept" and (await handle.get()).epoch == 1
    await worker.drain()
    await client.close()
    server.stop()
    warm, last = series[1], series[-1]
    flat = (
        last["tasks"] <= warm["tasks"] + 2 and last["threads"] <= warm["threads"] and last["files"] <= warm["files"] + 4
    )
    grown = last["rssMiB"] - warm["rssMiB"]
    sys.stdout.write(f"tasks, threads and files flat: {flat}; memory since the second sample: {grown:+.1f} MiB; ")
    sys.stdout.write(f"the run that was held all the time went on under its first lease: {kept}\n")
    return flat and kept and grown < 16


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)) else 1)
