import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { root as checkout } from "./main-job.ts";

// scripts/python-environment.ts in a checkout that has nothing else, with a python3 that only plays one: what is under
// test is whether what was made is whole, whoever else makes one and whoever ends it in the middle.

/**
 * Its venv is a folder with itself in it. Its pip writes down that it began, and is busy until the file "go" is there.
 * A real venv that is told to clear a folder fails, too, when a pip is busy there.
 */
const python3 = `#!/bin/sh
case "$*" in
  "-c "*) exit 0 ;;
  "-m venv "*) for folder; do :; done
     if [ -e "$folder/busy" ]; then echo "Directory not empty"; exit 1; fi
     mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" ;;
  *) folder=$(dirname "$(dirname "$0")")
     touch "$folder/busy"
     echo begun >> "$ROOT/begun"
     while [ ! -e "$ROOT/go" ]; do sleep 0.01; done
     rm -f "$folder/busy"
     if [ -e "$ROOT/fail" ]; then echo "ERROR: No matching distribution found"; exit 1; fi ;;
esac
`;

let root: string;
const makers: ChildProcess[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "everstep-python-environment-"));
  for (const folder of ["scripts", "bin", "clients/python"]) mkdirSync(join(root, folder), { recursive: true });
  for (const file of ["package.json", "scripts/python-environment.ts"]) {
    copyFileSync(join(checkout, file), join(root, file));
  }
  for (const file of ["pyproject.toml", "requirements-test.txt"]) {
    writeFileSync(join(root, "clients", "python", file), "");
  }
  writeFileSync(join(root, "bin", "python3"), python3);
  chmodSync(join(root, "bin", "python3"), 0o755);
});
afterEach(async () => {
  for (const maker of makers.splice(0)) signalAll(maker, "SIGKILL");
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});

interface Maker {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; said: string }>;
}
function make(): Maker {
  const env = { ...process.env, ROOT: root, PATH: [join(root, "bin"), process.env.PATH].join(delimiter) };
  const program = join(root, "scripts", "python-environment.ts");
  const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "ignore", "pipe"], detached: true });
  makers.push(child);
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  return { child, ended: once(child, "close").then(([code]) => ({ code, said })) };
}
function signalAll(maker: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(maker.pid as number), signal);
  } catch {} // all of them have ended
}
async function pipsBegun(count: number): Promise<void> {
  const begun = join(root, "begun");
  const lines = () => (existsSync(begun) ? readFileSync(begun, "utf8").split("\n").length - 1 : 0);
  await expect.poll(lines, { timeout: 20_000 }).toBe(count);
}
const go = () => writeFileSync(join(root, "go"), "");
const inCache = () => readdirSync(join(root, ".cache")).map((name) => name.replace(/^python-.*/, "python-*"));
const isReady = () => existsSync(join(root, ".cache", "python", "ready"));

test("two that are made at once do not disturb each other, and one remains", async () => {
  const both = [make(), make()];
  await pipsBegun(2);
  go();
  for (const { ended } of both) expect(await ended).toEqual({ code: 0, said: "" });
  expect({ ready: isReady(), inCache: inCache() }).toEqual({ ready: true, inCache: ["python", "python-*"] });
});

test("one that is ended in the middle leaves nothing behind", async () => {
  const { child, ended } = make();
  await pipsBegun(1);
  signalAll(child, "SIGINT");
  expect((await ended).code).toBe(1);
  expect(inCache()).toEqual([]);
});

test("one whose parent alone was killed is no obstacle for the next, even while its pip goes on", async () => {
  const { child } = make();
  await pipsBegun(1);
  child.kill("SIGKILL");
  await once(child, "exit");
  const { ended } = make();
  await pipsBegun(2);
  go();
  expect(await ended).toEqual({ code: 0, said: "" });
  expect(isReady()).toBe(true);
});

test("it takes the place of a folder that is out of date", async () => {
  mkdirSync(join(root, ".cache", "python", "bin"), { recursive: true });
  writeFileSync(join(root, ".cache", "python", "ready"), "of other versions");
  go();
  expect(await make().ended).toEqual({ code: 0, said: "" });
  writeFileSync(join(root, "clients", "python", "pyproject.toml"), "# changed");
  expect(await make().ended).toEqual({ code: 0, said: "" });
  expect({ ready: isReady(), inCache: inCache() }).toEqual({ ready: true, inCache: ["python", "python-*"] });
});

test("a failure is told with what was said, without a stack, and leaves nothing behind", async () => {
  writeFileSync(join(root, "fail"), "");
  go();
  const { code, said } = await make().ended;
  expect(code).toBe(1);
  expect(said).toMatch(/bin\/python -m pip install .*: ended by code 1\nERROR: No matching distribution found\n$/);
  expect(said).not.toMatch(/^\s+at /m);
  expect(inCache()).toEqual([]);
});
