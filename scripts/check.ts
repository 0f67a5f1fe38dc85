// Everything that CI checks, in one command: format and lint, types, buf lint, generated code current, all tests.
// Each part runs even when an earlier one failed, so that one run shows all that is wrong.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkGo, type Outcome } from "./check-go.ts";
import { checkPython } from "./check-python.ts";
import { collect } from "./collect.ts";
import { program } from "./programs.ts";

const root = join(import.meta.dirname, "..");
const results = join(root, ".cache", "vitest.json");

const parts: { name: string; command: string[] }[] = [
  { name: "format and lint", command: ["biome", "check", "."] },
  { name: "types", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "buf lint", command: ["buf", "lint"] },
];

/** The short part of the proof: a minute of simulation, a few trials of the crash rows, faults, hostile input. */
const gate = ["test/simulation/", "test/crash/", "test/faults/", "test/hostile/"];

// Tests start many hundred processes of the same few programs, those of Go and Python too: each is bundled and compiled once.
process.env.NODE_COMPILE_CACHE = join(root, ".cache", "node-compile");

const beganAt = performance.now();
let passed = 0;
let failed = 0;

function runPart(name: string, command: string[]): boolean {
  const startedAt = performance.now();
  console.log(`-- ${name}: ${command.join(" ")}`);
  const { status } = spawnSync(command[0]!, command.slice(1), { cwd: root, stdio: "inherit" });
  console.log(
    `-- ${name}: ${status === 0 ? "ok" : "FAILED"} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
  );
  return status === 0;
}

for (const part of parts) {
  if (runPart(part.name, part.command)) passed++;
  else failed++;
}

process.env.EVERSTEP_SERVER_PROGRAM = program("everstep");

async function checkGenerated(): Promise<Outcome> {
  const { status, stdout, stderr, seconds } = await collect(root, ["node", "scripts/generate.ts", "--check"]);
  process.stdout.write(stdout + stderr);
  console.log(`-- generated code: ${status === 0 ? "ok" : "FAILED"} in ${seconds.toFixed(1)} s`);
  return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

// Side by side: each of them waits much, for downloads, for its servers, for one file after the other.
for (const outcome of await Promise.all([checkGenerated(), checkGo(root), checkPython(root)])) {
  passed += outcome.passed;
  failed += outcome.failed;
}

mkdirSync(join(root, ".cache"), { recursive: true });
rmSync(results, { force: true });
const testsOk = runPart("tests", [
  "vitest",
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${results}`,
]);
try {
  const report = JSON.parse(readFileSync(results, "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  if (!testsOk && report.numFailedTests === 0) failed++;
  const files = report.testResults as { name: string; startTime: number; endTime: number }[];
  const ofGate = files.filter(({ name }) => gate.some((folder) => name.includes(folder)));
  const gateMs = ofGate.reduce((sum, { startTime, endTime }) => sum + endTime - startTime, 0);
  console.log(`-- of these: ${ofGate.length} files of the proof, ${(gateMs / 1000).toFixed(0)} s one after the other`);
} catch {
  failed++;
}
console.log(`-- all in ${((performance.now() - beganAt) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
