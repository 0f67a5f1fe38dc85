import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerProcess } from "../../test/support/server-process.ts";

/** A server process on a fresh file, as users get it: no special mode. */
export async function startBenchServer(args: string[] = []): Promise<{ server: ServerProcess; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(process.env.EVERSTEP_BENCH_FOLDER ?? tmpdir(), "everstep-bench-"));
  const flags = process.env.EVERSTEP_BENCH_PROFILE;
  const wrap = flags === undefined ? {} : { env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${flags}` } };
  const server = await ServerProcess.start({ db: join(folder, "everstep.db"), args, ...wrap });
  return {
    server,
    async stop() {
      await server.signal("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
