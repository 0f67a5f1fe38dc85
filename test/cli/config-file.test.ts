import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { afterAll, expect, test } from "vitest";
import { fillFromConfig } from "../../src/cli/config-file.ts";
import { parseDuration } from "../../src/cli/duration.ts";
import { everstep } from "./everstep.ts";

const folder = mkdtempSync(join(tmpdir(), "everstep-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function config(value: unknown): NodeJS.ProcessEnv {
  const path = join(folder, "config.json");
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return { EVERSTEP_CONFIG: path };
}

function settings(args: string[], file: unknown, env: NodeJS.ProcessEnv = {}): Record<string, unknown> {
  const saved = process.env.EVERSTEP_NAMESPACE;
  Object.assign(process.env, env);
  try {
    const command = new Command("x")
      .addOption(new Option("-n, --namespace <name>").env("EVERSTEP_NAMESPACE").default("default"))
      .option("--lease-ttl <duration>", "", parseDuration, 30_000)
      .exitOverride();
    command.parse(args, { from: "user" });
    fillFromConfig(command, config(file));
    return command.opts();
  } finally {
    if (saved === undefined) delete process.env.EVERSTEP_NAMESPACE;
    else process.env.EVERSTEP_NAMESPACE = saved;
  }
}

test("flags, then the environment, then the file, then the default", () => {
  const file = { namespace: "from file", leaseTtl: "5s", address: "http://elsewhere" };
  expect(settings(["-n", "flag"], file, { EVERSTEP_NAMESPACE: "env" })).toEqual({ namespace: "flag", leaseTtl: 5_000 });
  expect(settings([], file, { EVERSTEP_NAMESPACE: "env" })).toEqual({ namespace: "env", leaseTtl: 5_000 });
  expect(settings([], file)).toEqual({ namespace: "from file", leaseTtl: 5_000 });
  expect(settings(["--lease-ttl", "7s"], {})).toEqual({ namespace: "default", leaseTtl: 7_000 });
});

test("a file with a mistake is named, with the setting", async () => {
  for (const [file, told] of [
    ["{", "cannot be read"],
    ["[]", "one JSON object"],
    [{ adress: "x" }, '"adress"'],
    [{ address: true }, "address must be"],
    [{ output: "xml" }, "output"],
  ] as const) {
    const said = await everstep(["run", "list"], config(file));
    expect(said).toMatchObject({ code: 2, out: "" });
    expect(said.err).toContain(told);
    expect(said.err).toContain("config.json");
  }
  expect(await everstep(["run", "list"], { EVERSTEP_CONFIG: join(folder, "none") })).toMatchObject({ code: 2 });
});

test("the file says where the server is, also from its usual place", async () => {
  const said = await everstep(["run", "list"], config({ address: "http://127.0.0.1:1", output: "json" }));
  expect(said).toMatchObject({ code: 4 });
});
