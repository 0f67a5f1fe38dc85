import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "./main-job.ts";

/**
 * A checkout with a data folder and a cache of its own, whose toolchains are shell scripts that only play them. The
 * example and what makes its Python are copies, because they go by their own place; the rest are links.
 */
export class Checkout {
  readonly root = mkdtempSync(join(tmpdir(), "everstep-checkout-"));
  readonly environment: NodeJS.ProcessEnv;

  /** One that is not named here says that it is not fit for anything. */
  constructor(toolchains: { go?: string; python3?: string } = {}) {
    for (const copied of ["examples", "scripts/python-environment.ts"]) {
      cpSync(join(root, copied), join(this.root, copied), { recursive: true });
    }
    for (const linked of ["clients", "gen", "node_modules", "package.json", "src"]) {
      symlinkSync(join(root, linked), join(this.root, linked));
    }
    mkdirSync(join(this.root, "bin"));
    for (const [name, script] of Object.entries({ go: "exit 1", python3: "exit 1", ...toolchains })) {
      writeFileSync(join(this.root, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const path = [join(this.root, "bin"), join(root, "node_modules", ".bin"), process.env.PATH];
    this.environment = { CHECKOUT: this.root, PATH: path.join(delimiter) };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
