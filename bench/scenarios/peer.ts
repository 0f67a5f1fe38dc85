import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { Histogram } from "../histogram.ts";
import { measure } from "../load/measure.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";

// Five-step runs on another engine. Its program keeps `inFlight` runs going and prints what it has finished.

const folder = join(import.meta.dirname, "..", "peers");
const node = (peer: string) => [process.execPath, join(folder, peer, "run.mjs")];
const commands: Record<string, { command: string[]; needs: string }> = {
  restate: { command: node("restate"), needs: "restate/node_modules" },
  openworkflow: { command: node("openworkflow"), needs: "openworkflow/node_modules" },
  dbos: { command: node("dbos"), needs: "dbos/node_modules" },
  "dbos-python": {
    command: [join(folder, "dbos-python/.venv/bin/python"), join(folder, "dbos-python/run.py")],
    needs: "dbos-python/.venv",
  },
  temporal: { command: [join(folder, "temporal/.bin/temporal")], needs: "temporal/.bin" },
  "seed-api": { command: node("seed-api"), needs: "seed-api" },
};

/** Time until the first run has ended: some create a database or look for a licence first. */
const firstRunMsMax = 45_000;

interface Progress {
  readonly finished: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly enginePid: number;
}

export async function peer(parameters: Parameters): Promise<Result[]> {
  const { peer: name, inFlight, seedServer } = parameters;
  const found = commands[name];
  if (found === undefined) throw new Error(`no peer ${name}; there are ${Object.keys(commands).join(", ")}`);
  if (!existsSync(join(folder, found.needs))) {
    console.error(`${name} is not installed: left out (bench/peers/README.md says how)`);
    return [];
  }
  if (name === "seed-api" && seedServer === undefined) {
    console.error("seed-api needs --seed-server: left out");
    return [];
  }
  const [command = "", ...args] = [
    ...found.command,
    String(inFlight),
    ...(seedServer === undefined ? [] : [seedServer]),
  ];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let progress: Progress = { finished: 0, p50Ms: 0, p99Ms: 0, enginePid: 0 };
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.startsWith("{")) progress = JSON.parse(line) as Progress;
  });
  const endsAtMs = performance.now() + firstRunMsMax;
  while (progress.finished === 0) {
    if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}`);
    if (performance.now() > endsAtMs) throw new Error(`${name} finished no run in ${firstRunMsMax} ms`);
    await pause(20);
  }
  const { operations, elapsedMs, latency, rssMiB } = await measure(parameters, {
    count: () => progress.finished,
    latency: new Histogram(),
    pid: progress.enginePid,
  });
  // Memory is that of its main process; its processor time is left out, because some have several.
  const measured = { operations, elapsedMs, latency, rssMiB };
  const { p50Ms, p99Ms } = progress;
  child.kill("SIGTERM");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return [{ ...resultOf("peer", parameters, measured, { peer: name, durability: "its default" }), p50Ms, p99Ms }];
}
