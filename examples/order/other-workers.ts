// Workers in other languages, where their toolchains are: each is prepared in the background while the order is carried
// through, and then shares the queue with the worker in TypeScript. To add a language: an entry below.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

interface OtherLanguage {
  readonly name: string;
  /** Runs what builds or installs the worker. */
  readonly prepare: { readonly command: readonly string[]; readonly folder: string };
  /** Starts a worker of workflow "parcel" that prints "ready" on stdout when it has its session. */
  readonly command: readonly string[];
}

const root = join(import.meta.dirname, "..", "..");
const cache = join(root, ".cache", "examples");
const goWorker = join(cache, "order-go-worker");

const languages: readonly OtherLanguage[] = [
  {
    name: "Go",
    prepare: { command: ["go", "build", "-o", goWorker, "."], folder: join(import.meta.dirname, "go-worker") },
    command: [goWorker],
  },
  {
    name: "Python",
    prepare: { command: [process.execPath, join("scripts", "python-environment.ts")], folder: root },
    command: [join(root, ".cache", "python", "bin", "python"), join(import.meta.dirname, "python-worker", "main.py")],
  },
];

export interface OtherWorker {
  readonly language: string;
  readonly child: ChildProcess;
}

/**
 * Begins to prepare all of them; each resolves with its worker when it is ready, or to nothing where it cannot run.
 * `started` gets every process, to end it with the others.
 */
export function startOtherWorkers(
  url: string,
  started: (child: ChildProcess) => void,
): Promise<OtherWorker | undefined>[] {
  mkdirSync(cache, { recursive: true });
  return languages.map(async ({ name, prepare, command }) => {
    if (!(await prepared(prepare, started))) return undefined;
    const child = start(command, url);
    started(child);
    const ready = await new Promise<boolean>((resolve) => {
      child.once("exit", () => resolve(false));
      child.once("error", () => resolve(false));
      createInterface({ input: child.stdout }).on("line", (line) => line === "ready" && resolve(true));
    });
    return ready ? { language: name, child } : undefined;
  });
}

/** False without the toolchain, which is nothing to speak of, and when it fails, of which it speaks itself. */
async function prepared(
  { command, folder }: OtherLanguage["prepare"],
  started: (child: ChildProcess) => void,
): Promise<boolean> {
  const [program = "", ...args] = command;
  const env = { ...process.env, CGO_ENABLED: "0" }; // Go needs no C compiler
  const child = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  started(child);
  const code = await new Promise<number | null>((resolve) => {
    child.once("close", resolve);
    child.once("error", () => resolve(null));
  });
  if (code !== 0 && code !== null && said !== "") console.error(`${command.join(" ")}: ${said}`);
  return code === 0;
}

function start(command: readonly string[], url: string) {
  const [program = "", ...args] = command;
  return spawn(program, [...args, url], { stdio: ["ignore", "pipe", "inherit"] });
}
