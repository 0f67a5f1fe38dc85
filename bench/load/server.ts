import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { ServerProcess } from "../../test/support/server-process.ts";
import { createBenchFolder } from "./folder.ts";

export interface BenchServer {
  readonly url: string;
  readonly pid: number;
  readonly file: string;
  /** Ends it as a user would; the file is whole afterwards. */
  end(): Promise<void>;
  /** Ends it and removes its file. */
  stop(): Promise<void>;
}

/** A server process on a fresh file, or on a copy of `from`, as users get it: no special mode. */
export async function startBenchServer(
  options: { from?: string; env?: NodeJS.ProcessEnv; onSpawn?: () => void } = {},
): Promise<BenchServer> {
  const folder = createBenchFolder();
  const file = join(folder.path, "everstep.db");
  if (options.from !== undefined) copyFileSync(options.from, file);
  const profiles = process.env.EVERSTEP_BENCH_PROFILE;
  const profiling = profiles === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` };
  options.onSpawn?.();
  const server = await ServerProcess.start({ db: file, env: { ...profiling, ...options.env } });
  return {
    url: server.url,
    pid: server.child.pid as number,
    file,
    end: () => server.signal("SIGTERM"),
    async stop() {
      await server.signal("SIGTERM");
      folder.remove();
    },
  };
}
