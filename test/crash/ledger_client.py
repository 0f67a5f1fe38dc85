"""A client that writes down what the server promised. Python's own library only: it shares no code with the server.

Each operation is a line before the call (`invoke`) and a line after it (`ok`, `refused` with code and reason, or
`unknown` when no answer came). An answer that was lost is asked for again with the same ids, so the server must know the repetition.

Usage: ledger_client.py URL LEDGER [--lanes N] [--name NAME] [--ops N] [--ops-after-loss N] [--sdk] [--duration SECONDS]
                        [--payload-bytes N]
Ends after --ops operations, --ops-after-loss operations after the first lost answer, --duration, or at SIGTERM. --sdk also starts runs that SDK workers carry.
--payload-bytes makes the result of each step as long as that. Exit code 1: the server did what it never may, or a lane
ended before its time.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
import urllib.parse

CALL_SECONDS = 5.0
RETRY_SECONDS = 0.03
RETRYABLE = {"resource_exhausted", "unavailable", "deadline_exceeded", "canceled"}
# Bugs of the server, with a reason of its own or without: not asked again, so that the checker sees them.
BUGS = {"internal", "unknown", "data_loss"}
STEPS = 4
UNARY_WORKFLOW = "crash"
SDK_WORKFLOW = "torture"


class Refused(Exception):
    """The server said no, with a reason: nothing has changed and never will."""

    def __init__(self, method: str, answer: dict):
        super().__init__(f"{method}: {answer.get('code')}: {answer.get('message')}")
        self.code, self.reason = answer.get("code"), reason_of(answer)


def reason_of(answer: dict) -> str:
    """The reason of a google.rpc.ErrorInfo: the first field of its message, a short text."""
    for detail in answer.get("details", []):
        if detail.get("type") == "google.rpc.ErrorInfo":
            info = base64.b64decode(detail["value"] + "==")
            return info[2 : 2 + info[1]].decode()
    return ""


class Ledger:
    def __init__(self, path: str):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.lock = threading.Lock()
        self.count = 0

    def write(self, line: dict) -> None:
        # One write for a line: threads do not tear each other's.
        os.write(self.fd, (json.dumps(line) + "\n").encode())

    def number(self) -> int:
        with self.lock:
            self.count += 1
            return self.count


class Stop(Exception):
    """The client is to end."""


class Broken(Exception):
    """The server did what it never may. The checker finds it in the ledger too."""


def told(op: str, answer: dict) -> dict:
    """What an answer promises beyond its being there."""
    if op == "start":
        return {"run": answer["run"]["runId"]}
    if op == "acquire" and "assignment" in answer:
        lease = answer["assignment"]["lease"]
        return {"run": lease["runId"], "epoch": int(lease["epoch"])}
    return {}


class Client:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.ledger = Ledger(options.ledger)
        self.stopping = threading.Event()
        self.broken = False
        self.last = 1 << 62
        self.local = threading.local()
        self.host = urllib.parse.urlparse(options.url).netloc

    def post(self, method: str, body: dict) -> dict:
        """One HTTP request. Raises OSError or HTTPException when no answer came."""
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self.host, timeout=CALL_SECONDS)
            self.local.connection = connection
        try:
            connection.request(
                "POST", f"/everstep.v1.{method}", json.dumps(body), {"content-type": "application/json"}
            )
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            connection.close()
            self.local.connection = None
            raise
        if response.status == 200:
            return answer
        code = answer.get("code")
        if code not in BUGS and (code in RETRYABLE or not answer.get("details")):
            raise ConnectionError(f"{code}: {answer.get('message')}")
        raise Refused(method, answer)

    def call(self, op: str, method: str, body: dict, **facts) -> dict:
        """Repeats a call until it is answered. Raises Refused, and Stop when the client is to end."""
        most = min(self.options.ops, self.last) if self.options.ops else self.last
        if self.stopping.is_set() or self.ledger.count >= most:
            raise Stop
        number = self.ledger.number()
        self.ledger.write({"kind": "invoke", "client": self.options.name, "n": number, "op": op, **facts})
        end = {"client": self.options.name, "n": number}
        while True:
            sent = time.monotonic_ns()
            try:
                answer = self.post(method, body)
            except Refused as refusal:
                facts = {"code": refusal.code, "reason": refusal.reason, "why": str(refusal)}
                self.ledger.write({"kind": "refused", **end, "ns": time.monotonic_ns(), **facts})
                raise
            except (OSError, http.client.HTTPException, ValueError) as lost:
                if self.stopping.is_set():
                    self.ledger.write({"kind": "unknown", **end, "why": repr(lost)})
                    raise Stop from None
                if self.options.ops_after_loss:
                    self.last = min(self.last, number + self.options.ops_after_loss)
                time.sleep(RETRY_SECONDS)
                continue
            self.ledger.write({"kind": "ok", **end, "sent": sent, "ns": time.monotonic_ns(), **told(op, answer)})
            return answer

    def status_of(self, run: str) -> str:
        while not self.stopping.is_set():
            try:
                return self.post("RunService/GetRun", {"runId": run})["run"]["status"]
            except Refused:
                return ""
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(RETRY_SECONDS)
        raise Stop

    def lane(self, index: int) -> None:
        chance = random.Random(f"{self.options.seed}/{self.options.name}/{index}")
        name = f"{self.options.name}-{index}"
        number = 0
        try:
            while True:
                number += 1
                if self.options.sdk and chance.random() < 0.5:
                    self.sdk_run(f"{name}-{number}", chance)
                else:
                    Carrier(self, name, f"{name}-{number}", chance).carry()
        except Stop:
            return
        except Exception as error:
            # A lane that ends unseen is a load that gets smaller unseen. No run of ours may be refused its start.
            if isinstance(error, (Broken, Refused)):
                print(error, file=sys.stderr)
            else:
                traceback.print_exc()
            self.broken = True
            self.stopping.set()

    def sdk_run(self, run: str, chance: random.Random) -> None:
        self.start(run, SDK_WORKFLOW, "sdk", {"signal": chance.random() < 0.3})
        self.signal(run, "go", f"{run}/go")
        time.sleep(chance.random() * 0.02)

    def start(self, run: str, workflow: str, queue: str, value) -> None:
        body = {"workflow": workflow, "queue": queue, "runId": run, "requestId": run, "input": {"json": json.dumps(value)}}
        self.call("start", "RunService/StartRun", body, asked=run, value=json.dumps(value))

    def signal(self, run: str, name: str, request: str) -> None:
        value = json.dumps(request)
        body = {"runId": run, "name": name, "payload": {"json": value}, "requestId": request}
        try:
            self.call("signal", "RunService/SignalRun", body, run=run, request=request, value=value)
        except Refused:
            return


class Carrier:
    """A worker without an SDK: carries one run from start to end over unary calls, whatever happens in between."""

    def __init__(self, client: Client, queue: str, run: str, chance: random.Random):
        self.client, self.queue, self.run = client, queue, run
        self.timer, self.signalled = chance.random() < 0.3, chance.random() < 0.3
        self.acquires = 0
        self.over = False

    def carry(self) -> None:
        self.client.start(self.run, UNARY_WORKFLOW, self.queue, {"by": self.queue})
        if self.signalled:
            self.client.signal(self.run, "go", f"{self.run}/go")
        while not self.over:
            self.acquires += 1
            request = f"{self.run}/{self.acquires}"
            body = {"queues": [self.queue], "workflows": [UNARY_WORKFLOW], "workerId": self.queue, "requestId": request, "waitMs": 500}
            try:
                answer = self.client.call("acquire", "LeaseService/AcquireLease", body, request=request, wants=self.run)
            except Refused:
                continue
            assignment = answer.get("assignment")
            if assignment is None:
                continue
            lease = assignment["lease"]
            if lease["runId"] != self.run:
                raise Broken(f"asked for {self.run} and got {lease['runId']}")
            try:
                self.work(lease, {entry["stepKey"]: entry for entry in assignment.get("journal", [])})
            except Refused:
                # The lease is lost, or the run is over: the next assignment, or its absence, says which.
                status = self.client.status_of(self.run)
                self.over = status in ("RUN_STATUS_COMPLETED", "RUN_STATUS_FAILED")

    def op(self, op: str, method: str, lease: dict, op_id: int, key: str = "", value: str = "", **more) -> dict:
        body = {"lease": lease, "opId": str(op_id), **({"stepKey": key} if key else {}), **more}
        return self.client.call(op, f"LeaseService/{method}", body, run=self.run, key=key, value=value, epoch=int(lease["epoch"]))

    def work(self, lease: dict, journal: dict) -> None:
        for step in range(1, STEPS + 1):
            key = f"s{step}"
            if key not in journal:
                digest = hashlib.sha256(self.run.encode()).hexdigest()
                more = self.client.options.payload_bytes // len(digest)
                output = json.dumps(f"{self.run}:{step}:{digest}{digest * more}")
                self.op("step", "CompleteStep", lease, step, key, output, output={"json": output})
        self.speak_out_of_turn(lease)
        if self.signalled and "go" not in journal:
            value = json.dumps(f"{self.run}/go")
            self.op("consume", "ConsumeSignal", lease, 10, "go", value, name="go")
        if self.timer and not self.fired(journal):
            if "nap" not in journal:
                self.op("timer", "CreateTimer", lease, 11, "nap", delayMs="40")
            self.op("suspend", "SuspendRun", lease, 12, awaits=[{"timer": "nap"}])
            return
        output = json.dumps(self.run)
        self.op("complete", "CompleteRun", lease, 13, value=output, output={"json": output})
        self.over = True

    def speak_out_of_turn(self, lease: dict) -> None:
        """An epoch that nobody holds: refused alone, whatever shares its commit."""
        ahead = {**lease, "epoch": str(int(lease["epoch"]) + 1)}
        try:
            self.op("stale", "CompleteStep", ahead, 1, "stale", '"no"', output={"json": '"no"'})
        except Refused:
            return
        raise Broken(f"{self.run}: an epoch that nobody holds was accepted")

    @staticmethod
    def fired(journal: dict) -> bool:
        return "timerFired" in journal.get("nap", {})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("ledger")
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--name", default="c")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--ops", type=int, default=0)
    parser.add_argument("--ops-after-loss", type=int, default=0)
    parser.add_argument("--duration", type=float, default=0)
    parser.add_argument("--payload-bytes", type=int, default=0)
    parser.add_argument("--sdk", action="store_true")
    client = Client(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: client.stopping.set())
    if client.options.duration:
        threading.Timer(client.options.duration, client.stopping.set).start()
    lanes = [threading.Thread(target=client.lane, args=(index,)) for index in range(client.options.lanes)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        while lane.is_alive():
            lane.join(0.2)
    return 1 if client.broken else 0


if __name__ == "__main__":
    sys.exit(main())
