"""Async tests run on a loop of their own; servers are processes of this repository on real files."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server_process import ServerProcess, find_server, steady_address


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), 120))
    return True


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the tests that leave it as it is."""
    find_server()
    process = ServerProcess(tmp_path_factory.mktemp("server") / "runs.db", lease_ttl="3s")
    yield process
    process.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, to be stopped and killed."""
    find_server()
    process = ServerProcess(tmp_path / "runs.db", lease_ttl="120s", listen=steady_address())
    yield process
    process.kill()
