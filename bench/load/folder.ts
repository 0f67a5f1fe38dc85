import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

/** A folder on the disk that is measured: EVERSTEP_BENCH_FOLDER, or the system's place for temporary files. */
export function createBenchFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(process.env.EVERSTEP_BENCH_FOLDER ?? tmpdir(), "everstep-bench-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Where large files are kept from one run to the next. */
export function keptFile(name: string): string {
  const folder = join(root, ".cache", "bench");
  mkdirSync(folder, { recursive: true });
  return join(folder, name);
}
