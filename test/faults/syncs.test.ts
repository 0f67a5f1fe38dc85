import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, vi } from "vitest";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

// The system calls of a real server, in the order in which the kernel saw them: an answer is written only when a sync
// of the log has returned since the request came.

type Call = { readonly kind: "sync" } | { readonly kind: "answer"; readonly runId: string };

/** strace writes a call that another thread's call interrupts as `unfinished` and, when it returns, `resumed`. */
function callsOf(trace: string): Call[] {
  return trace.split("\n").flatMap((line): Call[] => {
    if (/f(data)?sync/.test(line) && /= 0$/.test(line)) return [{ kind: "sync" }];
    if (!/\b(write|writev|sendto|sendmsg)\(/.test(line)) return [];
    // Several answers may share a write.
    return [...line.matchAll(/((?:one|many)-\d+)\\",\\"workflow/g)].map((found) => ({
      kind: "answer",
      runId: found[1]!,
    }));
  });
}

testWith("strace")(
  "each answer has its sync when it is alone, and shares it when there are many",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "everstep-syncs-"));
    try {
      const log = join(folder, "strace.log");
      const server = await ServerProcess.start({
        db: join(folder, "everstep.db"),
        wrap: [
          "strace",
          "-D",
          "-f",
          "-s",
          "100000",
          "-e",
          "trace=fsync,fdatasync,write,writev,sendto,sendmsg",
          "-o",
          log,
        ],
      });
      const transport = createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false });
      const runs = createClient(RunService, transport);
      const alone = 50;
      for (let n = 0; n < alone; n++) await runs.startRun({ workflow: "w", runId: `one-${n}` });
      const rounds = 10;
      const abreast = 64;
      for (let round = 0; round < rounds; round++) {
        const ids = Array.from({ length: abreast }, (_, lane) => `many-${round * abreast + lane}`);
        await Promise.all(ids.map((runId) => runs.startRun({ workflow: "w", runId })));
      }
      await server.signal("SIGTERM");
      // strace outlives the server by the time that it takes to write the end.
      await vi.waitFor(() =>
        expect(readFileSync(log, "utf8")).toMatch(new RegExp(`^${server.child.pid} .*exited`, "m")),
      );

      const calls = callsOf(readFileSync(log, "utf8"));
      const first = calls.findIndex((call) => call.kind === "answer" && call.runId === "one-0");
      const from = calls.findIndex((call) => call.kind === "answer" && call.runId.startsWith("many"));
      const single = calls.slice(
        first + 1,
        calls.findLastIndex((c) => c.kind === "answer" && c.runId.startsWith("one")) + 1,
      );
      let syncs = 0;
      let answers = 0;
      for (const call of single) {
        if (call.kind === "sync") {
          syncs += 1;
          continue;
        }
        answers += 1;
        expect(syncs, `syncs before the answer to ${call.runId}`).toBeGreaterThanOrEqual(1);
        syncs = 0;
      }
      expect(answers).toBe(alone - 1);

      const crowd = calls.slice(from);
      const crowdAnswers = crowd.filter((call) => call.kind === "answer").length;
      const crowdSyncs = crowd.filter((call) => call.kind === "sync").length;
      console.log(
        `alone: ${answers} answers, each behind a sync; 64 abreast: ${crowdAnswers} answers, ${crowdSyncs} syncs`,
      );
      expect(crowdAnswers).toBe(rounds * abreast);
      expect(crowdSyncs).toBeLessThan(crowdAnswers / 2);
      expect(crowdSyncs).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
