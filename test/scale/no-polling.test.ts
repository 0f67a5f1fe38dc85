import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { Client, Worker, workflow } from "../../clients/typescript/src/index.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

const idleMs = 10_000;

// SQLite takes a lock on the file for every statement (on its shared memory, in WAL mode), and that is a system call:
// none on the database's files means that no statement ran.
testWith("strace")(
  "a server with a worker and 1,000 waiting runs touches no database file while nothing happens",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "everstep-idle-"));
    try {
      const log = join(folder, "strace.log");
      const server = await ServerProcess.start({
        db: join(folder, "everstep.db"),
        wrap: ["strace", "-D", "-f", "-y", "-e", "trace=fcntl,pread64,pwrite64,read,write,fsync,fdatasync", "-o", log],
      });
      const touches = () =>
        readFileSync(log, "utf8")
          .split("\n")
          .filter((line) => line.includes("everstep.db"));
      const client = new Client({ address: server.url });
      const day = workflow("day", async (ctx) => ctx.sleep("day", 86_400_000));
      const worker = new Worker({ address: server.url, workflows: [day], capacity: 200 }).start();
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => client.start("day", { runId: `r${n}` })));
      await vi.waitFor(
        async () => {
          const waiting: string[] = [];
          for await (const run of client.list({ statuses: ["WAITING"], pageSize: 1_000 })) waiting.push(run.runId);
          expect(waiting).toHaveLength(1_000);
        },
        { timeout: 30_000, interval: 200 },
      );
      await vi.waitFor(() => expect(worker.health().held).toBe(0));
      const before = touches().length;
      expect(before).toBeGreaterThan(1_000);
      // The idleness is what is measured here.
      await pause(idleMs);
      expect(touches().slice(before)).toEqual([]);
      // The instrument sees a statement when there is one.
      await client.get("r0");
      await vi.waitFor(() => expect(touches().length).toBeGreaterThan(before));
      worker.close();
      client.close();
      await server.signal("SIGTERM");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  90_000,
);

test("while the clock stands still a started run reaches its worker", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  expect(worker.assignments.map((assignment) => assignment.lease.runId)).toEqual([runId]);
});
