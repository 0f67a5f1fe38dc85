import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type DiskFault = "full" | "sync" | "write" | "hold" | "lie" | "lie-database" | "slow";
export type DiskAction = "kill" | "eio" | "enospc" | "short" | "stop";

/** `sync` and `write` of the database and its log; the others are told in disk-faults.c. */
export type DiskCall = "sync" | "write" | "database-sync" | "database-write" | "log-resync";

/** Faults of the disk for one server process: given to it by `env`, switched on and off by files in a folder. */
export class DiskFaults {
  readonly env: NodeJS.ProcessEnv;
  readonly #folder: string;

  /** Compiles the shim into `folder`. */
  constructor(folder: string) {
    this.#folder = join(folder, "faults");
    mkdirSync(this.#folder, { recursive: true });
    const library = join(this.#folder, "disk-faults.so");
    const source = join(import.meta.dirname, "disk-faults.c");
    execFileSync("gcc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"]);
    this.env = { LD_PRELOAD: library, EVERSTEP_FAULTS: this.#folder };
  }

  /** Lets one call fail: the `number`-th of its kind since the process began. */
  at(call: DiskCall, number: number, action: DiskAction): NodeJS.ProcessEnv {
    return { ...this.env, EVERSTEP_FAULT_AT: `${call} ${number} ${action}` };
  }
  begin(fault: DiskFault): void {
    writeFileSync(join(this.#folder, fault), "");
  }
  end(fault: DiskFault): void {
    rmSync(join(this.#folder, fault), { force: true });
  }
  /** How often this fault has fired. */
  fired(fault: DiskFault | DiskAction): number {
    const file = join(this.#folder, "fired");
    if (!existsSync(file)) return 0;
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line === fault).length;
  }
}
