// The drivers that are here, and how they are made ready. A language without its toolchain is left out with a reason.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { program } from "../../scripts/programs.ts";
import { hasPython, pythonEnvironment } from "../../scripts/python-environment.ts";

export const root = join(import.meta.dirname, "..", "..");

export interface Driver {
  readonly language: string;
  readonly command: readonly string[];
}

export interface Missing {
  readonly language: string;
  readonly why: string;
}

export const languages = ["typescript", "go", "python"] as const;
export type Language = (typeof languages)[number];

const sources = {
  typescript: join("test", "wire", "drivers", "typescript.ts"),
  go: join("clients", "go", "internal", "wiredriver"),
  python: join("clients", "python", "tests", "wire_driver.py"),
} as const;

/** Whether the repository has a driver for it; whether this machine can run it is another question. */
export function hasDriver(language: Language): boolean {
  return existsSync(join(root, sources[language]));
}

export function prepareDriver(language: Language): Driver | Missing {
  switch (language) {
    case "typescript":
      return { language, command: [process.execPath, program("wire-driver")] };
    case "go":
      return prepareGo();
    case "python":
      return preparePython();
  }
}

function prepareGo(): Driver | Missing {
  const language = "go";
  const folder = join(root, "clients", "go");
  if (!hasDriver(language)) return { language, why: "clients/go has no driver" };
  if (!succeeds(folder, ["go", "version"])) return { language, why: "no go here" };
  const binary = join(root, ".cache", "wire-driver-go");
  mkdirSync(join(root, ".cache"), { recursive: true });
  // Without cgo it needs no C compiler, and shares what is compiled with the other Go programs of the tests.
  run(folder, ["env", "CGO_ENABLED=0", "go", "build", "-o", binary, "./internal/wiredriver"]);
  return { language, command: [binary] };
}

function preparePython(): Driver | Missing {
  const language = "python";
  if (!hasDriver(language)) return { language, why: "clients/python has no driver" };
  if (!hasPython()) return { language, why: "no python3 of 3.11 or newer here" };
  return { language, command: [pythonEnvironment(root), join(root, sources.python)] };
}

function succeeds(cwd: string, [command, ...args]: string[]): boolean {
  return spawnSync(command as string, args, { cwd, stdio: "ignore" }).status === 0;
}

function run(cwd: string, [command, ...args]: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command as string, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? ""}${stdout}${stderr}`);
}
