"""Reads the file with Python's own SQLite and holds it against ledgers and sinks: shares no code with the server.

Usage: check_ledger.py FILE.db [--ledger FILE]... [--sink FILE] [--before NS] [--finished] [--ids] [--poisoned RUN]...
Prints one JSON object; exit code 1 when anything is wrong. --before ignores what was answered later than that instant
of the monotonic clock. --finished also demands that no run is left open. --ids tells the ids of all runs. --poisoned
names a run with an event that the test made unreadable: its events are only counted.

The names of the invariants are those of the reliability table: I1 every acknowledged operation is there with its value;
one that was refused is not, and the file says why it was refused; I2 one without an answer is there once or not at all;
I3 events 1..n without gaps; I4 one result for each step; I5 epochs rise and no event has one that has passed; I6 rows
agree with the events; I7 nothing follows an end; I8 timers fire once and never early; I9 no open run that nothing will
wake; I10 signals once; I11 one run for each id; I13 the file is whole.
"""

import argparse
import collections
import json
import sqlite3
import sys

RUN_CREATED, LEASE_GRANTED, LEASE_ENDED, STEP_COMPLETED = 1, 2, 4, 7
TIMER_SET, TIMER_FIRED, SIGNAL_RECEIVED, SIGNAL_CONSUMED = 9, 10, 12, 13
RUN_SUSPENDED, RUN_PAUSED, RUN_COMPLETED, RUN_FAILED, RUN_CANCELLED, RUN_TERMINATED, RUN_REOPENED = 14, 19, 21, 22, 23, 24, 25
ENDS = {RUN_COMPLETED: 5, RUN_FAILED: 6, RUN_CANCELLED: 7, RUN_TERMINATED: 8}
QUEUED, RUNNING, WAITING, PAUSED = 1, 2, 3, 4
RESULTS = {STEP_COMPLETED, TIMER_FIRED, SIGNAL_CONSUMED}
# Operations under a lease, and how one ends that its holder did not end itself: what still comes under it is refused.
OF_LEASE = {"step", "consume", "timer", "suspend", "complete"}
TAKEN = {"EXPIRED", "REVOKED", "UNDELIVERED", "UNACCEPTED", "RESTART"}
# Refusals that no client may meet, whatever it asked for.
BUGS = {"internal", "unknown", "data_loss"}
# How I1 says that work which was acknowledged is gone.
LOST = "was acknowledged and is there 0 times"
WRITES_ROW = {RUN_CREATED, LEASE_GRANTED, LEASE_ENDED, RUN_SUSPENDED, RUN_PAUSED, RUN_REOPENED, *ENDS}


class Event:
    __slots__ = ("seq", "type", "epoch", "key", "at", "payload", "detail")

    def __init__(self, row):
        self.seq, self.type, self.epoch, self.key, self.at, self.payload, detail = row
        self.detail = json.loads(detail) if detail else {}


def read_runs(db, problems, poisoned):
    runs = {}
    columns = "run_no, run_id, workflow, status, last_seq, epoch, steps_completed, rank"
    by_no = {}
    for no, run_id, *row in db.execute(f"SELECT {columns} FROM runs"):
        if run_id in runs:
            problems.append(f"I11 two runs have the id {run_id}")
        runs[run_id] = by_no[no] = (row, [])
    unreadable = [runs[run_id][0] for run_id in poisoned if run_id in runs]
    sql = "SELECT run_no, seq, type, epoch, step_key, at_ms, payload, detail FROM events ORDER BY run_no, seq"
    for no, *row in db.execute(sql):
        if no not in by_no:
            problems.append(f"I6 events of run number {no} have no run")
            continue
        run, events = by_no[no]
        events.append(Event(row) if run not in unreadable else None)
    return runs


def check_run(run_id, row, events, deadlines, problems):
    workflow, status, last_seq, epoch, steps_completed, rank = row
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        problems.append(f"I3 {run_id}: seqs are {[event.seq for event in events][:20]}")
    if not events or events[0].type != RUN_CREATED:
        problems.append(f"I3 {run_id} does not begin with its creation")
    if not events:
        return
    results = collections.Counter((event.key, event.type) for event in events if event.type in RESULTS)
    problems += [f"I4 {run_id}: {key} has {count} results" for (key, _), count in results.items() if count > 1]
    current, ended, fires_at, leased = 0, False, {}, False
    for event in events:
        if ended and event.type != RUN_REOPENED:
            problems.append(f"I7 {run_id}: event {event.seq} of type {event.type} follows its end")
        ended = (ended or event.type in ENDS) and event.type != RUN_REOPENED
        if event.type == LEASE_GRANTED:
            if event.epoch <= current or leased:
                problems.append(f"I5 {run_id}: epoch {event.epoch} after {current}, leased {leased}")
            current, leased = event.epoch, True
        elif event.epoch not in (0, current):
            problems.append(f"I5 {run_id}: event {event.seq} has epoch {event.epoch} in epoch {current}")
        if event.type in (LEASE_ENDED, RUN_SUSPENDED, RUN_PAUSED) or event.type in ENDS:
            leased = False
        if event.type == TIMER_SET:
            fires_at[event.key] = event.detail["firesAtMs"]
        if event.type == TIMER_FIRED and event.at < fires_at.get(event.key, 1 << 62):
            problems.append(f"I8 {run_id}: {event.key} fired at {event.at}, due {fires_at.get(event.key)}")
    # The row is written with each change of what the engine looks for; steps and signals in between may run ahead of it.
    if any(event.type in WRITES_ROW for event in events[last_seq:]):
        problems.append(f"I6 {run_id}: its row ends at {last_seq}, its events at {len(events)}")
    grants = [event.epoch for event in events[:last_seq] if event.type == LEASE_GRANTED]
    counted = sum(event.type == STEP_COMPLETED for event in events[:last_seq])
    reopened = any(event.type == RUN_REOPENED for event in events)
    if (last_seq > len(events) or epoch != max(grants, default=0) or steps_completed != counted) and not reopened:
        problems.append(f"I6 {run_id}: its row says {(last_seq, epoch, steps_completed)}, its events {(len(events), grants, counted)}")
    if (status == RUNNING) != leased:
        problems.append(f"I6 {run_id}: status {status}, leased {leased}")
    if ended != (status >= 5) or (ended and events and ENDS.get(events[-1].type) != status):
        problems.append(f"I6 {run_id}: status {status}, last event of type {events[-1].type}")
    awaits_signal = any(wait.get("kind") in ("signal", "any") for event in events if event.type == RUN_SUSPENDED for wait in event.detail.get("awaits", []))
    if status == QUEUED and rank is None and not deadlines or status == WAITING and not deadlines and not awaits_signal:
        problems.append(f"I9 {run_id} is open with status {status} and nothing will wake it")


# For each operation: which events are its effect.
def effects(entry, events):
    op, key, value = entry["op"], entry.get("key"), entry.get("value")
    if op == "start":
        return [e for e in events if e.type == RUN_CREATED], value
    if op == "signal":
        return [e for e in events if e.type == SIGNAL_RECEIVED and e.detail.get("requestId") == entry["request"]], value
    if op == "acquire":
        # The same request gets the same lease while it lives, and another one when it was given back undelivered.
        same = [e for e in events if e.type == LEASE_GRANTED and e.detail.get("requestId") == entry["request"]]
        return [e for e in same if e.epoch == entry.get("epoch")], None
    if op in ("step", "stale"):
        return [e for e in events if e.type == STEP_COMPLETED and e.key == key], value
    if op == "consume":
        return [e for e in events if e.type == SIGNAL_CONSUMED and e.key == key], None
    if op == "timer":
        return [e for e in events if e.type == TIMER_SET and e.key == key], None
    if op == "suspend":
        return [e for e in events if e.type == RUN_SUSPENDED and e.epoch == entry["epoch"]], None
    return [e for e in events if e.type == RUN_COMPLETED], value


def read_ledgers(paths):
    entries = {}
    for path in paths:
        for line in open(path, encoding="utf-8"):
            if not line.endswith("\n"):
                continue
            entry = json.loads(line)
            name = (path, entry["client"], entry["n"])
            if entry["kind"] == "invoke":
                entries[name] = {"end": "unknown", **entry}
            else:
                entries[name].update({**entry, "end": entry["kind"]})
    return entries


def cause_of(entry, events):
    """What the file has that explains this refusal; None when there is nothing."""
    op, reason = entry["op"], entry.get("reason")
    if op in OF_LEASE and reason == "LEASE_LOST":
        ends = [e.detail["reason"] for e in events if e.type == LEASE_ENDED and e.epoch == entry["epoch"]]
        return next((f"{reason} behind {end}" for end in ends if end in TAKEN), None)
    # The program of a run may come to its end without this signal.
    if op == "signal" and reason == "RUN_CLOSED":
        return reason if any(e.type in ENDS for e in events) else None
    # Sent to be refused: in an epoch that is still to come.
    return reason if op == "stale" and reason == "LEASE_LOST" else None


def check_refusal(entry, events, found, told, causes, problems):
    """A refusal says that nothing happened and why; `told`: so early that its cause must be in the file."""
    run_id = entry.get("run", entry.get("asked", entry.get("wants")))
    name = f"{entry['op']} {entry.get('key', '')} of {run_id} was refused {entry.get('code')} {entry.get('reason')}"
    # The same step may have been recorded under a later lease, by another operation.
    if any(entry["op"] not in OF_LEASE or event.epoch == entry["epoch"] for event in found):
        problems.append(f"I1 {name} and is there")
    elif entry.get("code") in BUGS:
        problems.append(f"I1 {name}")
    elif told:
        cause = cause_of(entry, events)
        if cause is None:
            problems.append(f"I1 {name}, and the file has no cause")
        elif entry["op"] != "stale":
            causes[cause] += 1


def check_ledger(entries, runs, before, problems):
    counts, causes, started = collections.Counter(), collections.Counter(), {}
    for entry in entries.values():
        end = entry["end"]
        told = before is None or entry.get("ns", before) < before
        if end == "ok" and not told:
            end = "unknown"
        counts[f"{entry['op']} {end}"] += 1
        run_id = entry.get("run", entry.get("asked"))
        if entry["op"] == "stale" and entry["end"] == "ok":
            problems.append(f"I5 {run_id}: {entry['key']} was accepted in an epoch that nobody holds")
        if entry["op"] == "acquire" and run_id not in (None, entry["wants"]):
            problems.append(f"I5 who asked for {entry['wants']} got {run_id}")
        row, events = runs.get(run_id, (None, []))
        found, value = effects(entry, events) if run_id is not None else ([], None)
        if end == "refused":
            check_refusal(entry, events, found, told, causes, problems)
        if end == "refused" or run_id is None:
            continue
        if end == "ok" and entry["op"] == "start" and started.setdefault(entry["asked"], run_id) != run_id:
            problems.append(f"I11 {entry['asked']} was answered {run_id} and {started[entry['asked']]}")
        if end == "ok" and len(found) != 1:
            problems.append(f"I1 {entry['op']} {entry.get('key', '')} of {run_id} was acknowledged and is there {len(found)} times")
        elif len(found) > 1:
            problems.append(f"I2 {entry['op']} {entry.get('key', '')} of {run_id} is there {len(found)} times")
        elif end == "ok" and value is not None and found[0].payload != value:
            problems.append(f"I1 {entry['op']} {entry.get('key', '')} of {run_id} has the value {found[0].payload!r}")
    return counts, causes


def check_sink(path, runs, workflow, problems):
    """Each result of a worker's step is one that a call of its body has written down: {run, key, nonce}."""
    sink = collections.Counter()
    for line in open(path, encoding="utf-8"):
        if line.endswith("\n"):
            entry = json.loads(line)
            sink[(entry["run"], entry["key"], entry["nonce"])] += 1
    results = 0
    for run_id, (row, events) in runs.items():
        if row[0] != workflow:
            continue
        for event in filter(None, events):
            if event.type == STEP_COMPLETED:
                results += 1
                if sink[(run_id, event.key, json.loads(event.payload))] != 1:
                    problems.append(f"I4 {run_id}: the result of {event.key} is {event.payload}, which no call wrote")
    return {"calls": sum(sink.values()), "results": results}


def lease_ends(runs):
    """How many leases ended for each reason."""
    ends = [event.detail["reason"] for _, events in runs.values() for event in events if event and event.type == LEASE_ENDED]
    return dict(sorted(collections.Counter(ends).items()))


def check_file(
    path, ledgers=(), sink=None, before=None, finished=False, entries=None, mode="ro", ids=False, poisoned=()
):
    problems = []
    db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None)
    # One moment of the file, also while a server writes it.
    db.execute("BEGIN")
    whole = [row[0] for row in db.execute("PRAGMA integrity_check(5)")]
    if whole != ["ok"]:
        problems += [f"I13 {row}" for row in whole]
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'runs'").fetchone() is None:
        runs = {}
    else:
        runs = read_runs(db, problems, poisoned)
        deadlines = {row[0] for row in db.execute("SELECT run_id FROM deadlines JOIN runs USING (run_no)")}
        events = sum(len(events) for _, events in runs.values())
        if db.execute("SELECT events FROM meta").fetchone()[0] != events:
            problems.append(f"I6 meta counts {db.execute('SELECT events FROM meta').fetchone()[0]} events, there are {events}")
        for run_id, (row, run_events) in runs.items():
            if run_id in poisoned:
                if row[1] != PAUSED:
                    problems.append(f"I12 {run_id} has an unreadable event and status {row[1]}")
                continue
            check_run(run_id, row, run_events, run_id in deadlines, problems)
            if finished and row[1] < 5:
                problems.append(f"I12 {run_id} is not finished: status {row[1]}")
    counts, causes = check_ledger(entries if entries is not None else read_ledgers(ledgers), runs, before, problems)
    report = {"operations": dict(sorted(counts.items())), "refusals": dict(sorted(causes.items())), "runs": len(runs), "leaseEnds": lease_ends(runs)}
    if ids:
        report["runIds"] = sorted(runs)
    if sink is not None:
        report["sink"] = check_sink(sink, runs, "torture", problems)
    db.close()
    return {**report, "problemCount": len(problems), "lostWork": sum(LOST in problem for problem in problems), "problems": problems[:20]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("db")
    parser.add_argument("--ledger", action="append", default=[])
    parser.add_argument("--sink")
    parser.add_argument("--before", type=int)
    parser.add_argument("--finished", action="store_true")
    parser.add_argument("--ids", action="store_true")
    parser.add_argument("--poisoned", action="append", default=[])
    options = parser.parse_args()
    facts = {
        "before": options.before,
        "finished": options.finished,
        "ids": options.ids,
        "poisoned": options.poisoned,
    }
    report = check_file(options.db, options.ledger, options.sink, **facts)
    print(json.dumps(report))
    sys.exit(1 if report["problems"] else 0)
