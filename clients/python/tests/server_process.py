"""Starts real Everstep servers for tests."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]
# `npm test` names a bundle, which starts in half the time.
_MAIN = Path(os.environ.get("EVERSTEP_SERVER_PROGRAM") or _ROOT / "src" / "main.ts")


def find_server() -> None:
    """Skips the test where there is no server to test against; fails with CI=true."""
    missing = None
    if not _MAIN.exists():
        missing = "this is no checkout of the repository: there is no server"
    elif not _node():
        missing = "there is no Node"
    if missing is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def _node() -> str | None:
    own = _ROOT / "node_modules" / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


def steady_address() -> str:
    """For a server that comes back to it: a loopback address besides 127.0.0.1 where the system has them, as Linux
    does, and below the ports that most systems give to whoever asks for any, so that nobody takes its place."""
    own = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    for host in (*[own] * 100, *["127.0.0.1"] * 100):
        address = (host, random.randint(20_000, 29_999))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(address)
            return f"{address[0]}:{address[1]}"
    raise RuntimeError("no port is free")


class ServerProcess:
    def __init__(self, file: Path, *, lease_ttl: str = "30s", listen: str = "127.0.0.1:0") -> None:
        self.file = file
        self._lease_ttl = lease_ttl
        self._start(listen)

    def _start(self, listen: str) -> None:
        command = [_node() or "node", str(_MAIN), "serve", "--db", str(self.file), "--listen", listen]
        self._process = subprocess.Popen(
            [*command, "--lease-ttl", self._lease_ttl, "--log-level", "error"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.url = line.removeprefix("listening on ").strip()
                return
        assert self._process.stderr is not None
        raise RuntimeError(f"the server ended before it listened: {self._process.stderr.read()}")

    def restart(self) -> None:
        """On the same file and address."""
        self._start(self.url.removeprefix("http://"))

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
