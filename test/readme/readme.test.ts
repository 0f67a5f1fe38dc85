import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "../../scripts/programs.ts";
import { hasPython, pythonEnvironment } from "../../scripts/python-environment.ts";
import { GoModule } from "../support/go-module.ts";
import { root, ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

// What the README tells a newcomer to type is typed here, word for word but for the port.

const readme = readFileSync(join(root, "README.md"), "utf8");
const run = promisify(execFile);

function blocks(section: string, language: string): string[] {
  const from = readme.indexOf(`\n## ${section}`);
  expect(from, `section "${section}"`).toBeGreaterThan(0);
  const end = readme.indexOf("\n## ", from + 4);
  const text = readme.slice(from, end < 0 ? undefined : end);
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter((found) => found[1] === language)
    .map((found) => found[2]!);
}

describe("README", () => {
  let server: ServerProcess;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "everstep-readme-"));
    server = await ServerProcess.start({ db: join(folder, "everstep.db") });
  });
  afterAll(async () => {
    await server?.signal("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });

  test("the first workflow runs, against the package as it is built", async () => {
    await run(process.execPath, [join(root, "scripts", "build.ts"), "@everstep/sdk"], { cwd: root });
    const [code] = blocks("A first workflow", "ts");
    // Inside the checkout, so that node finds @everstep/sdk as it does for a file in the root.
    const file = join(root, ".cache", `readme-hello-${process.pid}.ts`);
    mkdirSync(join(root, ".cache"), { recursive: true });
    writeFileSync(file, code!);
    try {
      const { stdout } = await run(process.execPath, [file], {
        cwd: root,
        env: { ...process.env, EVERSTEP_ADDRESS: server.url },
      });
      expect(stdout).toContain("card: 'card: Hello Ada'");
      expect(stdout).toContain("answer: 'fine, thanks'");
    } finally {
      rmSync(file, { force: true });
    }
  });

  testWith("go")(
    "the first workflow in Go runs, in a module of its own",
    async () => {
      const [code] = blocks("A first workflow", "go");
      const module = new GoModule({ main: code! });
      try {
        const program = await module.build();
        const { stdout } = await run(program, [], { env: { ...process.env, EVERSTEP_ADDRESS: server.url } });
        expect(stdout).toBe("{card: Hello Ada mail: Hello Ada fine, thanks} <nil>\n");
      } finally {
        module.remove();
      }
    },
    240_000,
  );

  test.skipIf(!hasPython() && process.env.CI !== "true")(
    "the first workflow in Python runs, with the package installed",
    async () => {
      const [code] = blocks("A first workflow", "python");
      const file = join(folder, "hello.py");
      writeFileSync(file, code!);
      const { stdout } = await run(pythonEnvironment(root), [file], {
        env: { ...process.env, EVERSTEP_ADDRESS: server.url },
      });
      expect(stdout).toBe("{'card': 'card: Hello Ada', 'mail': 'mail: Hello Ada', 'answer': 'fine, thanks'}\n");
    },
    240_000,
  );

  test("the buf curl examples work when pasted, one after the other", async () => {
    const script = blocks("With buf curl", "sh").join("\n").replaceAll("http://localhost:7420", server.url);
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", script.replaceAll("npx buf", "buf")], {
      cwd: folder,
      env: { ...process.env, PATH: `${join(root, "node_modules", ".bin")}:${process.env.PATH}` },
    });
    expect(stdout).toContain('"status": "RUN_STATUS_QUEUED"');
    expect(stdout).toContain('"leaseId"');
    expect(stdout).toContain('"welcome"');
    const shown = await run(process.execPath, [program("everstep"), "run", "show", "by-hand", "-o", "json"], {
      env: { ...process.env, EVERSTEP_ADDRESS: server.url },
    });
    expect(JSON.parse(shown.stdout)).toMatchObject({ status: "RUN_STATUS_COMPLETED", output: { json: '"done"' } });
  });

  test("every limit that it names is the limit", async () => {
    const limits = (await import("../../src/limits.ts")) as unknown as Record<string, number>;
    const table = readme.slice(readme.indexOf("\n## Limits"), readme.indexOf("Every bound stands"));
    const named: [string, string[]][] = [
      ["events of a run", ["historyEventsMax"]],
      ["open signals", ["openSignalsMax"]],
      ["run id, step key", ["runIdBytesMax", "stepKeyBytesMax", "nameBytesMax"]],
      ["grants without progress", ["deliveriesMax"]],
      ["sessions, capacity", ["sessionsMax", "capacityMax"]],
      ["runs in a StartRuns call", ["startRunsMax", "frameOpsMax", "opChangesMax"]],
    ];
    for (const [row, names] of named) {
      const line = table.split("\n").find((each) => each.includes(row)) ?? "";
      for (const name of names) expect(line, name).toContain(limits[name]!.toLocaleString("en-US"));
    }
  });
});
