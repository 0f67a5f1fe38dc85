"""Five-step runs on DBOS for Python with its SQLite system database, in closed loops of threads."""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

from dbos import DBOS, DBOSConfig

in_flight = int(sys.argv[1])
folder = tempfile.mkdtemp(prefix="dbos-python-", dir=os.environ.get("EVERSTEP_BENCH_FOLDER"))
config: DBOSConfig = {
    "name": "bench",
    "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
    "log_level": "ERROR",
    "run_admin_server": False,
}
DBOS(config=config)


@DBOS.step()
def step() -> str:
    return "twenty bytes of step"


@DBOS.workflow()
def bench() -> str:
    for _ in range(5):
        step()
    return "done"


def end(*_: object) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


signal.signal(signal.SIGTERM, end)
DBOS.launch()
latencies: list[float] = []
finished = 0
lock = threading.Lock()


def lane() -> None:
    global finished
    while True:
        started = time.monotonic()
        bench()
        with lock:
            latencies.append((time.monotonic() - started) * 1000)
            del latencies[:-1000]
            finished += 1


for _ in range(in_flight):
    threading.Thread(target=lane, daemon=True).start()
while True:
    time.sleep(0.05)
    with lock:
        ordered = sorted(latencies) or [0.0]
    line = {
        "finished": finished,
        "p50Ms": round(ordered[len(ordered) // 2], 1),
        "p99Ms": round(ordered[int(len(ordered) * 0.99)], 1),
        "enginePid": os.getpid(),
    }
    print(json.dumps(line), flush=True)
