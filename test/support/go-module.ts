import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./server-process.ts";

const run = promisify(execFile);
const path = "github.com/everstep/everstep/clients/go";

/** Go without a C compiler: every program of the tests is built like this, so that they share one build cache. */
export const goEnvironment = { ...process.env, CGO_ENABLED: "0" };

/**
 * A Go module of a user, in a folder of its own outside the repository. It uses a copy of clients/go and nothing else of
 * the checkout, and is built with go alone on PATH: no Node, no buf, no protoc.
 */
export class GoModule {
  readonly folder = mkdtempSync(join(tmpdir(), "everstep-go-module-"));

  constructor(files: { main: string }) {
    const app = join(this.folder, "app");
    mkdirSync(app);
    cpSync(join(root, "clients", "go"), join(this.folder, "sdk"), { recursive: true });
    writeFileSync(join(app, "main.go"), files.main);
    cpSync(join(root, "clients", "go", "go.sum"), join(app, "go.sum"));
    const needs = `require ${path} v0.0.0\n\nreplace ${path} => ../sdk\n`;
    writeFileSync(join(app, "go.mod"), `module app.example/app\n\ngo 1.25.0\n\n${needs}`);
  }

  /** Builds the program and returns its file. */
  async build(): Promise<string> {
    const goroot = (await run("go", ["env", "GOROOT"])).stdout.trim();
    const go = join(goroot, "bin", "go");
    const program = join(this.folder, "program");
    // -mod=mod writes the other requirements into go.mod, as `go mod tidy` would.
    await run(go, ["build", "-mod=mod", "-o", program, "."], {
      cwd: join(this.folder, "app"),
      env: { ...goEnvironment, PATH: join(goroot, "bin") },
    });
    return program;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
