import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, vi } from "vitest";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { DiskFaults } from "../support/disk-faults.ts";
import { RawSession } from "../support/raw-session.ts";
import { ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

function op(lease: Lease, output: string) {
  const data = { case: "json" as const, value: JSON.stringify(output) };
  const change = { case: "completeStep" as const, value: { stepKey: "a", output: { data } } };
  return { case: "ops" as const, value: { ops: [{ opId: 1n, lease, changes: [{ change }] }] } };
}
const historyOf = async (server: ServerProcess) => {
  const runs = createClient(RunService, createGrpcTransport({ baseUrl: server.url }));
  return (await runs.getRunHistory({ runId: "r" })).events.map((event) => event.seq);
};

testWith("gcc")(
  "an op that was durable when the server was killed is known again from the file",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "everstep-dedup-"));
    try {
      const db = join(folder, "everstep.db");
      const faults = new DiskFaults(folder);
      const first = await ServerProcess.start({ db, env: faults.env });
      const runs = createClient(RunService, createGrpcTransport({ baseUrl: first.url }));
      await runs.startRun({ workflow: "w", runId: "r" });
      const before = new RawSession(first.url);
      before.hello();
      const { sessionId, resumeToken } = await before.next("welcome");
      const { assignments } = await before.next("assign");
      const lease = assignments[0]!.lease!;
      before.send({ case: "accept", value: { leases: [lease] } });

      faults.begin("hold");
      before.send(op(lease, "the result"));
      await vi.waitFor(() => expect(faults.fired("hold")).toBe(1), { timeout: 10_000 });
      await first.signal("SIGKILL");
      expect(before.of("opResults")).toEqual([]);

      const second = await ServerProcess.start({ db });
      const history = await historyOf(second);
      expect(history).toEqual([1n, 2n, 3n]);
      const after = new RawSession(second.url);
      after.hello({ resume: { sessionId, resumeToken }, held: [{ lease }] });
      const { verdicts } = await after.next("welcome");
      expect(verdicts).toMatchObject([{ kept: true, lastOpId: 1n }]);
      after.send(op(lease, "the result"));
      expect((await after.result(1n)).result).toMatchObject({ case: "applied", value: { alreadyApplied: true } });
      expect(await historyOf(second)).toEqual(history);

      const another = new RawSession(second.url);
      another.hello({ held: [{ lease }] });
      await another.next("welcome");
      another.send(op(lease, "another result"));
      const { result } = await another.result(1n);
      expect(result).toMatchObject({ case: "refused", value: { reason: ErrorReason.OP_CONFLICT } });
      expect(await historyOf(second)).toEqual(history);
      after.cut();
      another.cut();
      await second.signal("SIGTERM");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  30_000,
);
