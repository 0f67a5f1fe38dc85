"""Whether each acknowledgement came after a sync that began its life after the request: from a trace and a ledger.

Usage: sync_honesty.py TRACE LEDGER. Prints one JSON object: acknowledged, syncs, and those answered without a sync.
"""

import bisect
import json
import sys

from check_ledger import read_ledgers
from crash_images import read_trace


def main(trace: str, ledger: str) -> int:
    syncs = [ns for kind, file, ns, *_ in read_trace(trace) if kind == "s" and file == "l"]
    # An acquire that found nothing writes nothing.
    acknowledged = [e for e in read_ledgers([ledger]).values() if e["end"] == "ok" and not (e["op"] == "acquire" and "epoch" not in e)]
    bare = [e for e in acknowledged if bisect.bisect(syncs, e["sent"]) == bisect.bisect(syncs, e["ns"])]
    spanned = [ns for ns in syncs if acknowledged and min(e["sent"] for e in acknowledged) < ns]
    print(json.dumps({"acknowledged": len(acknowledged), "syncs": len(spanned), "bare": [f"{e['op']} {e.get('run')}" for e in bare][:20]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
