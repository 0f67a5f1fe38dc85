"""Reads the file with Python's own SQLite and holds it against the ledger: shares no code with the server.

Usage: check_ledger.py FILE.db LEDGER. Prints one JSON object; exit code 1 when anything acknowledged is missing.
"""

import json
import sqlite3
import sys

RUN_CREATED, LEASE_GRANTED, STEP_COMPLETED, RUN_COMPLETED = 1, 2, 7, 21


def main(path: str, ledger: str) -> int:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    runs = dict(db.execute("SELECT run_id, run_no FROM runs"))
    problems: list[str] = []
    counts: dict[str, int] = {}
    for line in open(ledger, encoding="utf-8"):
        if not line.endswith("\n"):
            continue
        entry = json.loads(line)
        op, run_id = entry["op"], entry["runId"]
        counts[op] = counts.get(op, 0) + 1
        run_no = runs.get(run_id)
        if run_no is None:
            problems.append(f"{op} of {run_id} was acknowledged, the run is not there")
            continue
        if op == "step":
            rows = db.execute(
                "SELECT payload FROM events WHERE run_no = ? AND type = ? AND step_key = ?",
                (run_no, STEP_COMPLETED, entry["stepKey"]),
            ).fetchall()
            if rows != [(entry["output"],)]:
                problems.append(f"step {entry['stepKey']} of {run_id} is {rows}")
        elif op == "acquire":
            row = db.execute(
                "SELECT count(*) FROM events WHERE run_no = ? AND type = ? AND epoch = ?",
                (run_no, LEASE_GRANTED, entry["epoch"]),
            ).fetchone()
            if row != (1,):
                problems.append(f"epoch {entry['epoch']} of {run_id} was granted {row[0]} times")
        elif op == "complete":
            row = db.execute(
                "SELECT count(*) FROM events WHERE run_no = ? AND type = ?", (run_no, RUN_COMPLETED)
            ).fetchone()
            if row != (1,):
                problems.append(f"completion of {run_id} is there {row[0]} times")
    twice = db.execute(
        "SELECT run_no, step_key, count(*) FROM events WHERE type = ? GROUP BY 1, 2 HAVING count(*) > 1",
        (STEP_COMPLETED,),
    ).fetchall()
    problems += [f"run number {run_no}: step {key} has {n} results" for run_no, key, n in twice]
    gaps = db.execute(
        "SELECT run_no, count(*), max(seq) FROM events GROUP BY run_no HAVING count(*) <> max(seq) OR min(seq) <> 1"
    ).fetchall()
    problems += [f"run number {run_no}: {n} events, last seq {last}" for run_no, n, last in gaps]
    print(json.dumps({"acknowledged": counts, "runs": len(runs), "problems": problems[:20]}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
