import { execFile } from "node:child_process";
import { program } from "../../scripts/programs.ts";

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line as its users do: a process of its own, with no settings but the given ones. */
export function everstep(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const { PATH, TMPDIR, NODE_COMPILE_CACHE } = process.env;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program("everstep"), ...args],
      { env: { PATH, TMPDIR, NODE_COMPILE_CACHE, HOME: "/nonexistent", ...env } },
      (_error, out, err) => resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}
