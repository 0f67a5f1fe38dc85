// Workers in other languages, where their toolchains are: each is prepared in the background while the order is carried
// through, and then shares the queue with the worker in TypeScript. To add a language: an entry below.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { removeAtTheEnd } from "./leaving.ts";
import { adopt, adoptGroup, isEnding } from "./processes.ts";

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

/**
 * What became of a worker. Without the toolchain there is nothing to speak of; that it cannot be built is the
 * toolchain's or the network's doing; one that was built and does not come is a fault of ours.
 */
export type Outcome = { readonly is: "ready" | "absent" } | { readonly is: "unbuilt" | "broken"; readonly why: string };

export interface OtherWorker {
  readonly language: string;
  readonly outcome: Promise<Outcome>;
}

/** Begins to prepare all of them; all that is started is ended with the rest. */
export function startOtherWorkers(url: string): OtherWorker[] {
  mkdirSync(cache, { recursive: true });
  return languages.map((language) => ({ language: language.name, outcome: bring(language, url) }));
}

async function bring({ prepare, command }: OtherLanguage, url: string): Promise<Outcome> {
  const outcome = (await prepared(prepare)) ?? (await started(command, url));
  if (isEnding()) await new Promise(() => {}); // what was ended by us is no outcome
  return outcome;
}

/** Nothing when it went well. */
async function prepared({ command, folder }: OtherLanguage["prepare"]): Promise<Outcome | undefined> {
  const [program = "", ...args] = command;
  // What a build that is ended in the middle forgets there goes with the rest.
  const temporary = mkdtempSync(join(cache, "building-"));
  removeAtTheEnd(temporary);
  const env = { ...process.env, TMPDIR: temporary, CGO_ENABLED: "0" }; // Go needs no C compiler
  // A group of its own: it starts others, and they have to end with it.
  const child = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"], detached: true });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  adoptGroup(child);
  const code = await once(child, "close").then(
    ([code]) => code as number | null,
    () => undefined, // it is not there
  );
  if (code === 0) return undefined;
  const why = reasonIn(said);
  return code === undefined || why === "" ? { is: "absent" } : { is: "unbuilt", why };
}

/** One line of what a build has said: the last that pip calls an error, behind which it only adds advice, or the last. */
function reasonIn(said: string): string {
  const lines = said.trim().split("\n");
  return (lines.findLast((line) => /^\s*ERROR: /.test(line)) ?? lines.at(-1) ?? "").trim();
}

async function started([program = "", ...args]: readonly string[], url: string): Promise<Outcome> {
  const child = spawn(program, [...args, url], { stdio: ["ignore", "pipe", "inherit"] });
  adopt(child);
  return await new Promise<Outcome>((resolve) => {
    const broken = (why: string) => resolve({ is: "broken", why });
    child.once("exit", (code, signal) => broken(`it ended with ${signal ?? `code ${code}`} before it was ready`));
    child.once("error", (error) => broken(error.message));
    createInterface({ input: child.stdout }).on("line", (line) => line === "ready" && resolve({ is: "ready" }));
  });
}
