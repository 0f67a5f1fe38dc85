import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import SqliteDatabase from "better-sqlite3";
import { Client } from "../../clients/typescript/src/index.ts";
import { lostLeases, type Rig, until, withRig } from "./rig.ts";
import { quantile, type Row, Tally } from "./row.ts";

// R4, R22, R26: the file on a full disk, under a jumping clock, and with a reader that never ends.

const sh = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: "pipe" });

const fullDisk: Row = {
  id: "R4",
  fault: "the file system (64 MiB, mounted from a loop device) is filled up under load, then there is room again",
  trials: 30,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      const resumedMs: number[] = [];
      const [image, mount] = [join(rig.folder, "disk.img"), join(rig.folder, "disk")];
      mkdirSync(mount);
      writeFileSync(image, "");
      truncateSync(image, 64 * 1024 * 1024);
      sh("mkfs.ext4", "-q", image);
      sh("mount", "-o", "loop", image, mount);
      const db = join(mount, "everstep.db");
      const filler = join(mount, "filler");
      try {
        await rig.serve({ db });
        const client = rig.client("ledger", "--lanes", "8", "--seed", String(Math.random()));
        for (let number = 1; number <= trials; number++) {
          await tally.trial(`full ${number}`, async () => {
            await rig.answered();
            // dd fills up what is left and ends with an error.
            try {
              sh("dd", "if=/dev/zero", `of=${filler}`, "bs=64k");
            } catch {}
            let quiet = rig.acknowledged;
            await until(async () => {
              await pause(300);
              const same = rig.acknowledged === quiet;
              quiet = rig.acknowledged;
              return same;
            }, "writes are refused");
            const health = await fetch(`${rig.url}/readyz`);
            const says = await health.text();
            const count = await fetch(`${rig.url}/everstep.v1.RunService/CountRuns`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: "{}",
            });
            const violations = rig.server.exited ? ["the server ended"] : [];
            if (!count.ok) violations.push(`a read was refused with ${count.status}`);
            rmSync(filler);
            const freedAtMs = performance.now();
            await until(() => rig.acknowledged > quiet, "writes resume");
            const ms = performance.now() - freedAtMs;
            resumedMs.push(ms);
            if (ms > 10_000) violations.push(`writes resumed after ${Math.round(ms)} ms`);
            return { proof: health.status === 503 || /full/i.test(says), violations };
          });
        }
        tally.violations.push(...(await rig.endClient(client)));
        await rig.server.signal("SIGTERM");
        const checked = await rig.check({ db });
        tally.violations.push(...checked.problems, ...(await rig.verify(db)));
        tally.figures["writes resumed p50 ms"] = quantile(resumedMs, 0.5);
        tally.figures["max ms"] = quantile(resumedMs, 1);
      } finally {
        await rig.server.signal("SIGKILL");
        sh("umount", mount);
      }
      return tally;
    }),
};

const longReader: Row = {
  id: "R26",
  fault: "another program holds a read of the file open for half a minute under load: the log cannot start afresh",
  trials: 5,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      await rig.serve();
      const client = rig.client("ledger", "--lanes", "32", "--seed", String(Math.random()));
      let walMax = 0;
      for (let number = 0; number < trials; number++) {
        await tally.trial(`reader ${number}`, async () => {
          await rig.answered();
          const reader = new SqliteDatabase(rig.db, { readonly: true });
          const rows = reader.prepare("SELECT run_no FROM events").iterate();
          const proof = rows.next().done !== true;
          const endsAtMs = performance.now() + 30_000;
          const before = rig.acknowledged;
          while (performance.now() < endsAtMs) {
            await pause(200);
            walMax = Math.max(walMax, statSync(`${rig.db}-wal`).size);
          }
          const grown = rig.acknowledged - before;
          rows.return?.();
          reader.close();
          await rig.answered();
          const violations = walMax > 256 * 1024 * 1024 ? [`the log has ${walMax} bytes`] : [];
          if (grown === 0) violations.push("nothing was written meanwhile");
          tally.add("acknowledged operations meanwhile", grown);
          return { proof, violations };
        });
      }
      tally.violations.push(...(await rig.endClient(client)));
      await rig.server.signal("SIGTERM");
      tally.violations.push(...(await rig.checkBoth()).problems);
      tally.figures["log max MiB"] = Math.round(walMax / 1024 / 1024);
      return tally;
    }),
};

const jumps = ["+3600", "-3600", "+3456000", "-60", "+60", "+0"] as const;
/** Server time may lead the wall clock as far as the file says; the clock is believed at this distance. */
const nearMs = 30_000;
const runsOfTrial = 3;

const clockJumps: Row = {
  id: "R22",
  fault: `the wall clock jumps by ${jumps.join(", ")} seconds under load, every other time over a SIGKILL of the server (libfaketime; the monotonic clock stays)`,
  trials: jumps.length * 20,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      const library = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
      ].find(existsSync);
      if (library === undefined) throw new Error("libfaketime is not here");
      const clock = join(rig.folder, "clock");
      writeFileSync(clock, "+0");
      const env = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
      };
      await rig.serve({ env });
      const client = new Client({ address: rig.url });
      const ledger = rig.client("ledger", "--lanes", "8", "--seed", String(Math.random()));
      rig.sdkWorker("typescript", "worker");
      for (let number = 0; number < trials; number++) {
        const jump = jumps[number % jumps.length] as string;
        const killed = number % (2 * jumps.length) >= jumps.length;
        await tally.trial(`${jump} s${killed ? " over a kill" : ""}`, async () => {
          const runs = await Promise.all(
            Array.from({ length: runsOfTrial }, () => client.start("torture", { queue: "sdk", input: {} })),
          );
          writeFileSync(clock, jump);
          if (killed) {
            await rig.server.signal("SIGKILL");
            await rig.serve({ env });
          }
          // Timers of these runs were set before the jump or after it; all of them fire, once.
          await Promise.all(runs.map((run) => run.result({ timeoutMs: 30_000 })));
          await rig.answered();
          const isAhead = async () => Math.abs((await wallOf(rig)) - Date.now() - Number(jump) * 1_000) < nearMs;
          const proof = await until(isAhead, "the server's wall clock has jumped", 5_000).then(
            () => true,
            () => false,
          );
          tally.add(killed ? "over a kill" : "while it serves");
          return { proof, violations: [] };
        });
      }
      client.close();
      tally.violations.push(...(await rig.endClient(ledger)));
      await rig.server.signal("SIGTERM");
      const { checked, problems } = await rig.checkBoth();
      // A jump of the wall clock ends no lease. A kill ends those whose assignment was lost with the server: at most
      // those of the runs that had just been started, because the holders of others come back and say so.
      tally.violations.push(...problems, ...lostLeases(checked.leaseEnds, ["RESTART"]));
      tally.figures["leases that ended"] = Object.values(checked.leaseEnds).reduce((sum, count) => sum + count, 0);
      const lostWithServer = checked.leaseEnds.RESTART ?? 0;
      const kills = (tally.figures["over a kill"] as number | undefined) ?? 0;
      if (lostWithServer > kills * runsOfTrial) {
        tally.violations.push(`${lostWithServer} leases ended RESTART over ${kills} kills`);
      }
      tally.figures["of them with the server, unheard of by their worker"] = lostWithServer;
      return tally;
    }),
};

/** The server's wall clock, as its HTTP answers tell it; Node renews the text once a second. */
async function wallOf(rig: Rig): Promise<number> {
  return Date.parse((await fetch(`${rig.url}/healthz`)).headers.get("date") ?? "");
}

export const fileRows: readonly Row[] = [fullDisk, clockJumps, longReader];
