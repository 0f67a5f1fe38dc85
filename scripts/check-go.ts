// The Go SDK and the Go programs of this checkout: format and vet; and the SDK's tests with the race detector, which start
// servers of this checkout. Without Go all of it is skipped, and that is said; with CI=true it fails.
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { collect } from "./collect.ts";

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

const ci = process.env.CI === "true";

export async function checkGo(root: string): Promise<Outcome> {
  const goroot = await collect(root, ["go", "env", "GOROOT"]);
  if (goroot.status !== 0) return missing("no go here");
  // Peers are not ours to check: vetting one would fetch all that it is made of.
  const modules = globSync("{clients,bench,examples,test}/**/go.mod", { cwd: root, exclude: ["bench/peers/**"] })
    .map(dirname)
    .sort();
  const gofmt = await collect(root, [join(goroot.stdout.trim(), "bin", "gofmt"), "-l", ...modules]);
  const outcomes = [part("go format", gofmt.status === 0 && gofmt.stdout === "", gofmt.stdout + gofmt.stderr)];
  for (const module of modules) {
    const vet = await collect(join(root, module), ["go", "vet", "./..."], { CGO_ENABLED: "0" });
    outcomes.push(part(`go vet ${module}`, vet.status === 0, vet.stdout + vet.stderr));
  }
  outcomes.push(await tests(join(root, "clients", "go")));
  return {
    passed: outcomes.reduce((sum, outcome) => sum + outcome.passed, 0),
    failed: outcomes.reduce((sum, outcome) => sum + outcome.failed, 0),
  };
}

/** The race detector needs a C compiler; a machine that has only Go runs the tests without it. */
async function tests(folder: string): Promise<Outcome> {
  const races = (await collect(folder, ["go", "env", "CGO_ENABLED"])).stdout.trim() === "1";
  if (!races && ci) return part("go test", false, "CI=true, and no C compiler for the race detector\n");
  if (!races) console.log("-- go test: WITHOUT the race detector, which needs a C compiler");
  const command = ["go", "test", ...(races ? ["-race"] : []), "-count=1", "-json", "./..."];
  console.log(`-- go test: ${command.join(" ")}`);
  const { status, stdout, stderr, seconds } = await collect(folder, command);
  const { passed, failed, skipped, text } = readEvents(stdout);
  process.stdout.write(skipped);
  const broken = status === 0 || failed > 0 ? failed : 1; // what does not compile has no tests that fail
  if (broken > 0) process.stdout.write(text + stderr);
  console.log(`-- go test: ${broken === 0 ? `ok, ${passed} passed` : "FAILED"} in ${seconds.toFixed(1)} s`);
  return { passed, failed: broken };
}

interface TestEvent {
  readonly Action: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Output?: string;
}

/** Counts the tests, and keeps what skipped ones, failed ones and broken packages have said. */
function readEvents(lines: string): Outcome & { readonly skipped: string; readonly text: string } {
  const outputs = new Map<string, string>();
  let passed = 0;
  let failed = 0;
  let skipped = "";
  let text = "";
  for (const line of lines.split("\n")) {
    if (!line.startsWith("{")) continue;
    const event = JSON.parse(line) as TestEvent;
    const name = `${event.Package ?? ""} ${event.Test ?? ""}`;
    if (event.Output !== undefined) outputs.set(name, (outputs.get(name) ?? "") + event.Output);
    if (event.Action === "pass" && event.Test !== undefined) passed++;
    if (event.Action === "skip" && event.Test !== undefined) skipped += outputs.get(name) ?? "";
    if (event.Action !== "fail" && event.Action !== "build-fail") continue;
    if (event.Test !== undefined) failed++;
    text += outputs.get(name) ?? "";
  }
  return { passed, failed, skipped, text };
}

function part(name: string, ok: boolean, text: string): Outcome {
  if (!ok) process.stdout.write(text);
  console.log(`-- ${name}: ${ok ? "ok" : "FAILED"}`);
  return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function missing(why: string): Outcome {
  console.log(`-- go: ${ci ? "FAILED, CI=true and" : "SKIPPED,"} ${why}`);
  return { passed: 0, failed: ci ? 1 : 0 };
}
