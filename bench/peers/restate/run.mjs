import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { result, runClosedLoop, steps } from "../closed-loop.mjs";

// Read when the SDK is loaded: it would print a line for each invocation.
process.env.RESTATE_LOGGING = "ERROR";
const restate = await import("@restatedev/restate-sdk");

const inFlight = Number(process.argv[2]);
const ingress = 18_080;
const admin = 19_070;
const endpoint = 19_080;
const folder = mkdtempSync(join(process.env.EVERSTEP_BENCH_FOLDER ?? tmpdir(), "restate-"));

const bench = restate.service({
  name: "bench",
  handlers: {
    run: async (ctx) => {
      for (const name of steps) await ctx.run(name, () => result);
      return "done";
    },
  },
});
await restate.serve({ services: [bench], port: endpoint });

// The program itself: its npm wrapper would leave it behind when it is killed.
const server = spawn(
  join(
    import.meta.dirname,
    `node_modules/@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  ),
  ["--base-dir", folder, "--node-name", "bench"],
  {
    stdio: "ignore",
    env: {
      ...process.env,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: "127.0.0.1:15122",
      RESTATE_ADVERTISED_ADDRESS: "http://127.0.0.1:15122",
      RESTATE_LOG_FILTER: "error",
      DO_NOT_TRACK: "1",
    },
  },
);
process.on("exit", () => {
  server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
process.on("SIGTERM", () => process.exit(0));

for (let tries = 0; ; tries++) {
  try {
    const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri: `http://127.0.0.1:${endpoint}` }),
    });
    if (answer.ok) break;
    throw new Error(await answer.text());
  } catch (error) {
    if (tries > 150) throw error;
    await pause(200);
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
function invoke() {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: "127.0.0.1", port: ingress, path: "/bench/run", method: "POST", agent, headers: { "content-length": 0 } },
      (response) => {
        response.resume();
        response.on("end", () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`)),
        );
      },
    );
    call.on("error", reject);
    call.end();
  });
}
runClosedLoop(inFlight, invoke, server.pid);
