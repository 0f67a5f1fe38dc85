import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { hasPython, pythonEnvironment } from "../../scripts/python-environment.ts";
import { root } from "../support/server-process.ts";

// The Python SDK as its users install it: from its folder and from a wheel, with pip and nothing else on the PATH.

const run = promisify(execFile);
const program = `
import asyncio, everstep, importlib.resources
async def main():
    try:
        await everstep.Client("http://127.0.0.1:1").explain("x")
    except everstep.CallRefusedError as error:
        print(everstep.__version__, error.reason, importlib.resources.files(everstep).joinpath("py.typed").is_file())
asyncio.run(main())
`;

test.skipIf(!hasPython() && process.env.CI !== "true")(
  "pip installs it into empty environments, from its folder and from a wheel, without Node, protoc or buf",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "everstep-python-user-"));
    try {
      const source = join(folder, "source");
      cpSync(join(root, "clients", "python"), source, {
        recursive: true,
        filter: (from) => !/__pycache__|_cache$|\.egg-info/.test(from),
      });
      const empty = join(folder, "no-tools");
      mkdirSync(empty);
      const { PATH: _, ...kept } = process.env;
      const env = { ...kept, PATH: empty, PIP_DISABLE_PIP_VERSION_CHECK: "1" };
      writeFileSync(join(folder, "use.py"), program);
      const made = async (name: string): Promise<string> => {
        await run("python3", ["-m", "venv", "--without-pip", join(folder, name)]);
        return join(folder, name, "bin", "python");
      };
      // One pip for all: an environment with its own takes longer to make than to fill.
      const pip = (args: string[], python: string) =>
        run(pythonEnvironment(root), ["-m", "pip", "--python", python, ...args], { env });
      const first = await made("from-folder");
      await pip(["install", "--quiet", source], first);
      await pip(["wheel", "--quiet", "--no-deps", "-w", join(folder, "wheels"), source], first);
      const [wheel = ""] = readdirSync(join(folder, "wheels"));
      expect(wheel).toMatch(/^everstep-.*-py3-none-any\.whl$/);
      const second = await made("from-wheel");
      await pip(["install", "--quiet", join(folder, "wheels", wheel)], second);
      for (const python of [first, second]) {
        const { stdout } = await run(python, [join(folder, "use.py")], { env, cwd: folder });
        expect(stdout).toBe("0.1.0 UNAVAILABLE True\n");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  240_000,
);
