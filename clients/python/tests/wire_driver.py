"""The wire driver of the Python SDK; its protocol is test/wire/README.md."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from everstep import Client, Complete, Fail, Worker
from everstep._enum_name import enum_name
from everstep._gen.event_pb2 import EventType
from tests.wire_program import Holds, error_of, program_of, to_error

_output = threading.Lock()


def say(fact: dict[str, Any]) -> None:
    line = json.dumps({name: value for name, value in fact.items() if value is not None or name == "value"})
    with _output:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


class Driver:
    def __init__(self) -> None:
        self._holds = Holds()
        chatty = os.environ.get("WIRE_FACTS") != "off"

        def say_if_asked(fact: dict[str, Any]) -> None:
            if chatty or fact["fact"] in ("aborted", "caught"):
                say(fact)

        self._worker = Worker(
            workflows=[program_of(self._holds, say_if_asked)],
            capacity=int(os.environ.get("WIRE_CAPACITY", "10")),
            queues=os.environ.get("WIRE_QUEUES", "default").split(","),
        )
        self._client = Client()
        self._drain: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.drain)
        await self._worker.start()
        say({"fact": "ready", "language": "python", "pid": os.getpid()})
        lines: asyncio.Queue[str | None] = asyncio.Queue()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

        threading.Thread(target=read, daemon=True).start()
        while (line := await lines.get()) is not None:
            task = loop.create_task(self._answer(json.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._drain is None:
            await self._worker.close()
            os._exit(0)
        await self._drain

    def drain(self) -> None:
        if self._drain is None:
            self._drain = asyncio.get_running_loop().create_task(self._drained())

    async def _drained(self) -> None:
        await self._worker.drain(int(os.environ.get("WIRE_DRAIN_MS", "10000")) / 1_000)
        say({"fact": "drained"})
        os._exit(0)

    async def _answer(self, command: dict[str, Any]) -> None:
        try:
            say({"fact": "answer", "id": command["id"], "value": await self._do(command)})
        except Exception as error:
            say({"fact": "answer", "id": command["id"], "error": error_of(error)})

    async def _do(self, command: dict[str, Any]) -> Any:
        client = self._client
        run: str = command.get("run", "")
        steered = {"reason": command.get("why", "")}
        if "graceMs" in command:
            steered["grace"] = command["graceMs"] / 1_000
        match command["cmd"]:
            case "finish":
                return self._holds.finish(run, command["key"], command)
            case "health":
                health = self._worker.health()
                state = health.session_state
                return {"connected": health.connected, "state": state, "held": health.held, "capacity": health.capacity}
            case "capacity":
                return self._worker.set_capacity(command["capacity"])
            case "drain":
                return self.drain()
            case "start":
                handle = await client.start(
                    command.get("workflow", "program"),
                    command.get("input"),
                    run_id=command.get("run"),
                    run_key=command.get("runKey", ""),
                    queue=command.get("queue", ""),
                    priority=command.get("priority"),
                    request_id=command.get("requestId"),
                    start_delay=command.get("startDelayMs", 0) / 1_000,
                    run_timeout=command.get("runTimeoutMs", 0) / 1_000,
                )
                return {"run": handle.run_id, "alreadyStarted": handle.already_started}
            case "get":
                info = await client.get(run)
                facts = {
                    "status": info.status,
                    "output": info.output,
                    "workflow": info.workflow,
                    "cancelRequested": info.cancel_requested,
                    "pauseReason": info.pause_reason,
                }
                return {name: value for name, value in facts.items() if value is not None}
            case "list":
                found = client.list(
                    run_key=command.get("runKey", ""),
                    workflow=command.get("workflow", ""),
                    queue=command.get("queue", ""),
                    statuses=command.get("statuses", ()),
                )
                return [info.run_id async for info in found]
            case "result":
                timeout = command.get("timeoutMs")
                return await client.result(run, timeout=None if timeout is None else timeout / 1_000)
            case "signal":
                name, value = command["name"], command.get("value")
                return await client.signal(run, name, value, request_id=command.get("requestId"))
            case "cancel":
                return (await client.cancel(run, **steered)).status
            case "pause":
                return (await client.pause(run, **steered)).status
            case "terminate":
                return (await client.terminate(run, reason=command.get("why", ""))).status
            case "retry":
                return (await client.retry(run, reason=command.get("why", ""))).status
            case "resume":
                return (await client.resume(run, resolution=_resolution_of(command.get("resolution")))).status
            case "watch":
                return [enum_name(EventType, "EVENT_TYPE_", event.type) async for event in client.watch(run)]
            case other:
                raise ValueError(f"no command {other}")


def _resolution_of(resolution: Any) -> Any:
    if not isinstance(resolution, dict):
        return resolution
    return Complete(resolution["complete"]) if "complete" in resolution else Fail(to_error(resolution["fail"]))


if __name__ == "__main__":
    asyncio.run(Driver().run())
