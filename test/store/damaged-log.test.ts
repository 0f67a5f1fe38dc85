import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { backupFile } from "../../src/store/sqlite/backup.ts";
import { findLogDamage } from "../../src/store/sqlite/log-scan.ts";
import { createSqliteStore, type SqliteStoreOptions } from "../../src/store/sqlite/store.ts";
import { verifyFile } from "../../src/store/sqlite/verify.ts";
import { committer, created, rowOf } from "./fixtures.ts";
import { useTemporaryFile } from "./temporary.ts";

const headerBytes = 32;
const frameBytes = 24 + 4_096;
const commits = 6;

describe("the log of a server that was killed", () => {
  const file = useTemporaryFile();

  /** File and log as they are after so many commits, one run each; the log's bytes. */
  async function killed(count = commits): Promise<{ path: string; log: Buffer }> {
    const store = await file.open();
    const commit = committer(store);
    for (let runNo = 1; runNo <= count; runNo++) {
      await commit({ runs: [rowOf(runNo)], events: [{ runNo, event: created() }] });
    }
    const path = file.in("killed.db");
    for (const suffix of ["", "-wal"]) copyFileSync(file.path + suffix, path + suffix);
    return { path, log: readFileSync(`${path}-wal`) };
  }
  /** The frames that end a commit, by number from 0. */
  function ends(log: Buffer): number[] {
    const count = (log.length - headerBytes) / frameBytes;
    return Array.from({ length: count }, (_, frame) => frame).filter(
      (frame) => log.readUInt32BE(headerBytes + frame * frameBytes + 4) !== 0,
    );
  }
  function damageOf(log: Uint8Array): ReturnType<typeof findLogDamage> {
    const path = file.in("scanned-wal");
    writeFileSync(path, log);
    return findLogDamage(path);
  }
  async function runsAfter(options: SqliteStoreOptions): Promise<number> {
    const store = await createSqliteStore(options);
    const found = Array.from({ length: commits }, (_, at) => store.findRun("default", `run-${at + 1}`));
    await store.close();
    return found.filter((run) => run !== undefined).length;
  }

  test("is whole, at each of its lengths", async () => {
    const { log } = await killed();
    for (let length = 0; length <= log.length; length += 1_030) {
      expect(damageOf(log.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
  });

  test("tells each flipped bit, wherever it is", async () => {
    const { log } = await killed();
    for (let bit = 0; bit < log.length * 8; bit += bit < 60 * 8 ? 1 : 1_013) {
      const flipped = Buffer.from(log);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(damageOf(flipped), `bit ${bit}`).toBeDefined();
    }
  });

  test("tells any damage that is followed by two commits", async () => {
    const { log } = await killed();
    const last = ends(log).at(-3)!;
    for (let frame = 0; frame <= last; frame++) {
      for (const [from, to] of [
        [0, 24],
        [24, 512],
        [0, frameBytes],
      ] as const) {
        const at = headerBytes + frame * frameBytes;
        const damaged = Buffer.from(log).fill(0xa5, at + from, at + to);
        expect(damageOf(damaged), `bytes ${from} to ${to} of frame ${frame}`).toMatchObject({ at });
      }
    }
  });

  test("is no damaged one when a power cut has kept any part of the last commit", async () => {
    const { log } = await killed();
    const [before, last] = ends(log).slice(-2) as [number, number];
    const frames = last - before;
    expect(frames).toBeGreaterThan(2);
    for (let kept = 0; kept < 2 ** frames; kept++) {
      for (const torn of [0, 512, frameBytes - 512]) {
        const cut = Buffer.from(log);
        for (let frame = 0; frame < frames; frame++) {
          const at = headerBytes + (before + 1 + frame) * frameBytes;
          if ((kept & (1 << frame)) === 0) cut.fill(0, at + torn, at + frameBytes);
        }
        expect(damageOf(cut), `frames ${kept.toString(2)}, torn at ${torn}`).toBeUndefined();
      }
    }
  });

  test("may have frames of an earlier generation behind its end", async () => {
    const { log: old } = await killed();
    const store = await createSqliteStore({ path: file.in("newer.db") });
    await committer(store)({ runs: [rowOf(1)], events: [{ runNo: 1, event: created() }] });
    const newer = readFileSync(`${file.in("newer.db")}-wal`);
    await store.close();
    expect(newer.length).toBeLessThan(old.length);
    expect(damageOf(Buffer.concat([newer, old.subarray(newer.length)]))).toBeUndefined();
  });

  test("is refused when it is damaged, and nothing is touched", async () => {
    const { path, log } = await killed();
    const at = headerBytes + ends(log)[1]! * frameBytes;
    log[at + 100]! ^= 4;
    writeFileSync(`${path}-wal`, log);
    const before = readFileSync(path);
    const complaint = new RegExp(`-wal is damaged at byte ${at}: one bit.*--accept-damaged-log`);
    await expect(createSqliteStore({ path })).rejects.toThrow(complaint);
    await expect(backupFile(path, file.in("copy.db"))).rejects.toThrow(complaint);
    expect(existsSync(file.in("copy.db"))).toBe(false);
    expect(readFileSync(path).equals(before) && readFileSync(`${path}-wal`).equals(log)).toBe(true);

    const problems: string[] = [];
    await verifyFile(path, { onProblem: ({ message }) => problems.push(message) });
    expect(problems[0]).toContain(`damaged at byte ${at}`);
  });

  test("is copied aside when a person accepts the loss", async () => {
    const { path, log } = await killed();
    log.fill(0, headerBytes + ends(log)[1]! * frameBytes, headerBytes + (ends(log)[1]! + 1) * frameBytes);
    writeFileSync(`${path}-wal`, log);
    const before = readFileSync(path);
    const said: string[] = [];
    expect(await runsAfter({ path, acceptDamagedLog: true, warn: (message) => said.push(message) })).toBeLessThan(2);
    expect(said).toEqual([expect.stringContaining(`copied to ${path}.damaged-1`)]);
    expect(readFileSync(`${path}.damaged-1`).equals(before)).toBe(true);
    expect(readFileSync(`${path}.damaged-1-wal`).equals(log)).toBe(true);
    // The next start finds nothing to accept.
    expect(await runsAfter({ path, acceptDamagedLog: true, warn: (message) => said.push(message) })).toBeLessThan(2);
    expect(said).toHaveLength(1);
  });

  test("is not judged where commits are not synced one by one", async () => {
    const { path, log } = await killed();
    log.fill(0, headerBytes + ends(log)[1]! * frameBytes, headerBytes + (ends(log)[1]! + 1) * frameBytes);
    writeFileSync(`${path}-wal`, log);
    expect(await runsAfter({ path, durability: "relaxed" })).toBeLessThan(2);
  });
});
