import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { nodeComplaint } from "../../src/node-version.ts";
import { Installed, NoRegistryError, run } from "./installed.ts";
import {
  machineEnvironment,
  machineNode,
  machineNodeIsOld,
  machineNodeVersion,
  node,
  userEnvironment,
} from "./machine.ts";

// What npm publishes, used as its users use it: from tarballs, in a folder of its own, by a Node that is not ours.

const root = join(import.meta.dirname, "..", "..");
const installed = new Installed();
let noRegistry: string | undefined;

beforeAll(async () => {
  try {
    await installed.install();
  } catch (error) {
    if (!(error instanceof NoRegistryError) || process.env.CI === "true") throw error;
    noRegistry = `npm reaches no registry: ${error.message.split("\n").at(-1)}`;
    console.warn(`test/packages is skipped: ${error.message}`);
  }
}, 120_000);
afterAll(() => installed.remove());
beforeEach((context) => {
  if (noRegistry !== undefined) context.skip(noRegistry);
});

const servers: ChildProcess[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await stop(server, "SIGKILL");
});

/** npx puts a shell between itself and the server: the whole group is meant. */
async function stop(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  process.kill(-(server.pid as number), signal);
  await once(server, "close");
}

/** Starts a serving command; resolves when it listens. */
async function serve(args: string[]): Promise<{ server: ChildProcess; url: string; stderr: () => string }> {
  const server = spawn("npx", ["--no-install", "everstep", ...args, "--listen", "127.0.0.1:0"], {
    cwd: installed.folder,
    env: userEnvironment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  servers.push(server);
  let stderr = "";
  server.stderr.on("data", (chunk) => (stderr += chunk));
  const url = await new Promise<string>((resolve, reject) => {
    server.once("exit", (code) => reject(new Error(`everstep ${args[0]} ended with ${code}: ${stderr}`)));
    createInterface({ input: server.stdout }).on("line", (line) => {
      const match = /^listening on (\S+)$/.exec(line);
      if (match !== null) resolve(match[1] as string);
    });
  });
  return { server, url, stderr: () => stderr };
}

const everstep = (...args: string[]) =>
  run("npx", ["--no-install", "everstep", ...args], { cwd: installed.folder, env: userEnvironment });
const program = (...args: string[]) => run(node, args, { cwd: installed.folder, env: userEnvironment });
const manifest = (name: string) =>
  JSON.parse(readFileSync(join(installed.packageFolder(name), "package.json"), "utf8"));

describe("what is in the tarballs", () => {
  const compiled = "\\.(js|d\\.ts)$";
  const cases = [
    {
      name: "everstep",
      entries: [
        "LICENSE",
        "bin/everstep.js",
        "dist/everstep/THIRD-PARTY.txt",
        "dist/everstep/everstep.js",
        "dist/everstep/writer-thread.js",
        "dist/src/store/sqlite/writer-thread.js",
        "proto/everstep/v1/run.proto",
      ],
      allowed: new RegExp(
        `^(LICENSE|README\\.md|package\\.json|bin/everstep\\.js|proto/everstep/v1/\\w+\\.proto|dist/everstep/(THIRD-PARTY\\.txt|[\\w-]+\\.js)$|dist/(src|gen/ts)/.+${compiled})`,
      ),
      readme: join(root, "README.md"),
    },
    {
      name: "@everstep/sdk",
      entries: ["dist/LICENSE", "dist/clients/typescript/src/index.js"],
      allowed: new RegExp(
        `^(README\\.md|package\\.json|dist/LICENSE|dist/(clients/typescript/src|gen/ts)/.+${compiled})`,
      ),
      readme: join(root, "clients", "typescript", "README.md"),
    },
  ];
  for (const { name, entries, allowed, readme } of cases) {
    test(`${name}: licence, readme, compiled code with types, and nothing else`, () => {
      const files = installed.filesOf(name);
      expect(files).toEqual(expect.arrayContaining(entries));
      expect(files.includes("README.md")).toBe(existsSync(readme));
      expect(files.filter((file) => !allowed.test(file))).toEqual([]);
      const code = files.filter((file) => /^dist\/(?!everstep\/).+\.js$/.test(file)); // the bundled command has no types
      expect(code.map((file) => file.replace(/\.js$/, ".d.ts")).filter((file) => !files.includes(file))).toEqual([]);
    });
    test(`${name}: every relative import meets a packed file`, () => {
      const folder = installed.packageFolder(name);
      const lost = installed
        .filesOf(name)
        .filter((file) => /\.(js|ts)$/.test(file))
        .flatMap((file) =>
          [...readFileSync(join(folder, file), "utf8").matchAll(/^(?! *\*).*(?:from|import\()\s*"(\.{1,2}\/[^"]+)"/gm)]
            .map((match) => join(dirname(file), match[1] as string))
            .filter((target) => !target.endsWith(".js") || !existsSync(join(folder, target)))
            .map((target) => `${file} imports ${target}`),
        );
      expect(lost).toEqual([]);
    });
    // `prepare` may be there: npm runs it in a checkout and before packing, never for a package from a tarball.
    test(`${name}: nothing runs when it is installed`, () => {
      expect(Object.keys(manifest(name).scripts).filter((script) => /install$/.test(script))).toEqual([]);
    });
  }
});

describe("the command", () => {
  test("says its version, which is the package's", async () => {
    expect(await everstep("--version")).toEqual({ code: 0, stdout: `${manifest("everstep").version}\n`, stderr: "" });
  });

  test("dev starts a server; the SDK carries a workflow through on it; verify finds nothing wrong", async () => {
    const { server, url, stderr } = await serve(["dev"]);
    expect(await program("work.mjs", url)).toEqual({
      code: 0,
      stdout: '{"loud":"HELLO ADA","length":9}\n',
      stderr: "",
    });
    expect(stderr()).toContain(`Everstep serves ./.everstep/everstep.db at ${url}`);
    await stop(server, "SIGTERM");
    const verified = await everstep("verify", "--db", ".everstep/everstep.db");
    expect(verified).toMatchObject({ code: 0, stderr: expect.stringMatching(/^1 runs, \d+ events, 0 problems\n$/) });
  });

  test("serve keeps runs over a restart", async () => {
    const first = await serve(["serve", "--db", "served.db"]);
    const started = await everstep("run", "start", "order", "--run-id", "o-1", "--address", first.url);
    expect(started).toMatchObject({ code: 0, stdout: expect.stringContaining("o-1") });
    await stop(first.server, "SIGTERM");
    const second = await serve(["serve", "--db", "served.db"]);
    const shown = await everstep("run", "show", "o-1", "--address", second.url);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining("QUEUED") });
  });

  test("says in one sentence what to do when the compiled part of better-sqlite3 is missing", async () => {
    const binaries = join(installed.packageFolder("better-sqlite3"), "prebuilds");
    renameSync(binaries, `${binaries}.away`);
    try {
      const { code, stderr } = await everstep("serve", "--db", "native.db", "--listen", "127.0.0.1:0");
      expect(code).toBe(1);
      expect(stderr.trim().split("\n")).toEqual([
        expect.stringMatching(/^everstep: the compiled part of better-sqlite3 is missing .*run "npm install" again/),
      ]);
    } finally {
      renameSync(`${binaries}.away`, binaries);
    }
  });
});

test("engine, server, worker and client run inside a program of a user", async () => {
  expect(await program("embed.mjs", "embedded.db")).toEqual({ code: 0, stdout: "42\n", stderr: "" });
});

test("the types of both packages are found under nodenext, and they are exact", async () => {
  writeFileSync(
    join(installed.folder, "consumer.ts"),
    `import { createEngine, createServer, EngineError, type Engine } from "everstep";
import { Client, Worker, workflow } from "@everstep/sdk";

const engine: Engine = await createEngine({ path: ":memory:", leaseTtlMs: 2_000 });
const { url }: { url: string } = await createServer(engine, { port: 0 }).listen();
const order = workflow("order", async (ctx, input: { cents: number }) => ctx.step("charge", () => input.cents * 2));
new Worker({ address: url, workflows: [order] });
const run = await new Client({ address: url }).start(order, { input: { cents: 1 } });
export const result: number = await run.result();
export const isRefusal = (error: unknown) => error instanceof EngineError;
// @ts-expect-error: a path is text
await createEngine({ path: 1 });
// @ts-expect-error: the input is typed
await new Client({ address: url }).start(order, { input: { cents: "1" } });
`,
  );
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const flags = "--noEmit --strict --skipLibCheck false --module nodenext --moduleResolution nodenext --target es2024";
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
  const compiled = await run(tsc, [...flags.split(" "), ...types, "consumer.ts"], {
    cwd: installed.folder,
    env: userEnvironment,
  });
  expect(compiled).toEqual({ code: 0, stdout: "", stderr: "" });
});

describe("a Node that is too old", () => {
  test("is told from one that will do", () => {
    expect(manifest("@everstep/sdk").engines).toEqual({ node: ">=24" });
    expect(nodeComplaint("24.0.0")).toBeUndefined();
    expect(nodeComplaint("26.10.0")).toBeUndefined();
    expect(nodeComplaint("22.12.0")).toBe("everstep needs Node 24 or newer; this is 22.12.0");
  });

  test.skipIf(!machineNodeIsOld)(`gets one line (the machine has ${machineNodeVersion})`, async () => {
    const where = { cwd: installed.folder, env: machineEnvironment };
    const sentence = `everstep needs Node 24 or newer; this is ${machineNodeVersion}`;
    expect(await run("npx", ["--no-install", "everstep", "dev"], where)).toEqual({
      code: 2,
      stdout: "",
      stderr: `${sentence}\n`,
    });
    const embedded = await run(machineNode, ["embed.mjs", "old.db"], where);
    expect(embedded).toMatchObject({ code: 1, stderr: expect.stringContaining(sentence) });
  });
});
