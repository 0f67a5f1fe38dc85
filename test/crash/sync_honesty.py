"""Whether each acknowledgement came after a sync of a write that came after the request: from a trace and a ledger.

A sync between request and answer is not enough: it may be that of the batch before, whose writes know nothing of the
request. The log is written by one thread, so a sync behind a write in the trace has that write.

Usage: sync_honesty.py TRACE LEDGER [FAULT ENDED]. With the instants of a fault and of the server's end only answers
before the end are its own, and only syncs before the fault are worth anything: one that is made again behind a failed
one returns well, and what the failed one had to write may be gone all the same. Prints one JSON object: acknowledged, syncs, and those answered without a sync.
"""

import bisect
import json
import sys

from check_ledger import read_ledgers
from crash_images import read_trace


def synced_between(writes, syncs, sent, answered):
    write = bisect.bisect(writes, sent)
    if write == len(writes):
        return False
    sync = bisect.bisect(syncs, writes[write])
    return sync < len(syncs) and syncs[sync] <= answered


def main(trace: str, ledger: str, fault: str = "", ended: str = "") -> int:
    records = read_trace(trace)
    latest = int(fault) if fault else 1 << 62
    syncs = [ns for kind, file, ns, *_ in records if kind == "s" and file == "l" and ns < latest]
    writes = [ns for kind, file, ns, *_ in records if kind == "w" and file == "l"]
    # An acquire that found nothing writes nothing.
    acknowledged = [e for e in read_ledgers([ledger]).values() if e["end"] == "ok" and not (e["op"] == "acquire" and "epoch" not in e)]
    acknowledged = [e for e in acknowledged if not ended or e["ns"] < int(ended)]
    bare = [e for e in acknowledged if not synced_between(writes, syncs, e["sent"], e["ns"])]
    spanned = [ns for ns in syncs if acknowledged and min(e["sent"] for e in acknowledged) < ns]
    print(json.dumps({"acknowledged": len(acknowledged), "syncs": len(spanned), "bare": [f"{e['op']} {e.get('run')}" for e in bare][:20]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
