import { rmSync } from "node:fs";
import { constants } from "node:os";
import { endAll } from "./processes.ts";

const ours: string[] = [];
let leaving = false;

/** A file or folder that nobody needs when the example has ended. */
export function removeAtTheEnd(path: string): void {
  ours.push(path);
}

/** Ends everything that was started, removes what nobody needs any more, and ends this process. */
export async function leave(code: number): Promise<never> {
  if (leaving) return await new Promise<never>(() => {}); // whoever was first ends the process
  leaving = true;
  await endAll();
  for (const path of ours) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
}

/** Also when somebody ends it or hangs up, or when nobody reads on, as behind `| head`: nothing goes on without it. */
export function leaveWhenTold(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => void leave(128 + constants.signals[signal]));
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", () => void leave(128 + constants.signals.SIGPIPE));
  }
}
