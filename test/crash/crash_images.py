"""What the disk may hold after a power cut, from a trace of a server's writes and syncs (see disk-faults.c).

At a random record of the trace the power goes. What was synced is there. Of each file's writes since its last sync a
random part is: none, all, the first ones, any, or any with the last one torn at a sector. Each image is opened by this
machine's SQLite and held against the ledger: what was acknowledged before that record must be there. Before that the
server's own reading of the log is asked (scan-logs.ts): it must not take an honest power cut for a damaged log.

Usage: crash_images.py TRACE LEDGER FOLDER NODE SCAN --images N --seed S [--verify COMMAND...]
Prints one JSON object.
"""

import argparse
import collections
import json
import os
import random
import struct
import subprocess
import sys

from check_ledger import check_file, read_ledgers

HEAD = struct.Struct("<2sqqI")
SECTOR = 512
VERIFY_EVERY = 25
# A draw may keep all that was unsynced. Such an image is checked, but no power cut has fired: points are drawn again.
ROUNDS_MAX = 10
COUNTS = "images withUnsynced inCheckpoint lost databaseLost lostWork otherProblems demanded verified".split()


def read_trace(path):
    data, at, records = open(path, "rb").read(), 0, []
    while at + HEAD.size <= len(data):
        kind, ns, offset, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        # Other files, a rollback journal for one, are no part of an image.
        if kind[1:] in (b"d", b"l"):
            records.append((chr(kind[0]), chr(kind[1]), ns, offset, data[at : at + length]))
        at += length
    return records


class File:
    def __init__(self):
        self.synced, self.pending = bytearray(), []

    def record(self, kind, offset, data):
        if kind == "s":
            for write in self.pending:
                apply(self.synced, *write)
            self.pending = []
        elif kind in "wt":
            self.pending.append((kind, offset, data))

    def after_power_cut(self, chance):
        """What is on the disk, and whether that is less than what was written."""
        image, whole = bytearray(self.synced), bytearray(self.synced)
        for write in self.pending:
            apply(whole, *write)
        kept = self.pending
        how = chance.choice(["none", "all", "first", "any", "torn"])
        if how == "none":
            kept = []
        elif how == "first":
            kept = kept[: chance.randint(0, len(kept))]
        elif how in ("any", "torn"):
            share = chance.random()
            kept = [write for write in kept if chance.random() < share]
        for index, (kind, offset, data) in enumerate(kept):
            if how == "torn" and index == len(kept) - 1 and kind == "w":
                data = data[: SECTOR * chance.randint(0, len(data) // SECTOR)]
            apply(image, kind, offset, data)
        return image, image != whole


def apply(image, kind, offset, data):
    if kind == "t":
        del image[offset:]
        image.extend(bytes(max(0, offset - len(image))))
        return
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


def draws(records, first, wanted, lost, chance):
    """Random points and what the files are there, until `wanted` draws have lost something; bounded."""
    for _ in range(ROUNDS_MAX):
        count = min(wanted - lost(), len(records) - first - 1)
        files, done = {"d": File(), "l": File()}, 0
        for point in sorted(chance.sample(range(first + 1, len(records)), count)):
            for kind, file, _, offset, data in records[done:point]:
                files[file].record(kind, offset, data)
            done = point
            yield point, files


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("ledger")
    parser.add_argument("folder")
    parser.add_argument("node")
    parser.add_argument("scan")
    parser.add_argument("--images", type=int, default=100, help="how many of them shall have lost something")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--verify", nargs=argparse.REMAINDER, default=[])
    options = parser.parse_args()
    chance = random.Random(options.seed)
    records, entries = read_trace(options.trace), read_ledgers([options.ledger])
    acknowledged = sorted(entry["ns"] for entry in entries.values() if entry["end"] == "ok")
    first = next(index for index, record in enumerate(records) if record[2] > acknowledged[0])
    problems, refused, counts = [], [], collections.Counter()
    scan = subprocess.Popen([options.node, options.scan], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for point, files in draws(records, first, options.images, lambda: counts["lost"], chance):
        before = records[point - 1][2]
        path = os.path.join(options.folder, "image.db")
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.remove(path + suffix)
        counts["withUnsynced"] += any(file.pending for file in files.values())
        # After the first answer only a checkpoint writes to the database.
        counts["inCheckpoint"] += bool(files["d"].pending)
        database, less_database = files["d"].after_power_cut(chance)
        log, less_log = files["l"].after_power_cut(chance)
        counts["lost"] += less_database or less_log
        counts["databaseLost"] += less_database
        open(path, "wb").write(database)
        open(path + "-wal", "wb").write(log)
        scan.stdin.write(path + "\n")
        scan.stdin.flush()
        complaint = json.loads(scan.stdout.readline())["complaint"]
        if complaint:
            refused.append(f"at record {point}: {complaint}")
        try:
            checked = check_file(path, before=before, entries=entries, mode="rw")
            found, lost_work = checked["problems"], checked["lostWork"] > 0
        except Exception as error:
            found, lost_work = [f"does not open: {error!r}"], False
        counts["lostWork"] += lost_work
        counts["otherProblems"] += bool(found) and not lost_work
        if not found and options.verify and counts["images"] % VERIFY_EVERY == 0:
            counts["verified"] += 1
            ended = subprocess.run([*options.verify, "--db", path], capture_output=True, text=True)
            found = [] if ended.returncode == 0 else [f"verify: {ended.stdout[-300:]}{ended.stderr[-300:]}"]
        counts["images"] += 1
        counts["demanded"] += sum(ns < before for ns in acknowledged)
        problems += [f"at record {point}: {problem}" for problem in found[:3]]
    scan.stdin.close()
    scan.wait()
    print(json.dumps({**{name: counts[name] for name in COUNTS}, "refused": refused, "problems": problems[:20]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
