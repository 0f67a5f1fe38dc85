import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { attacks, launch } from "./http2-attacks.ts";
import { Victim } from "./victim.ts";

let folder: string;
let server: ServerProcess;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "everstep-hostile-"));
  server = await ServerProcess.start({ db: join(folder, "everstep.db") });
});
afterAll(async () => {
  await server.signal("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

for (const attack of attacks) {
  test(`${attack.name}: the server lives, and a client beside it notices nothing but time`, {
    timeout: 60_000,
  }, async () => {
    const victim = new Victim(server.url);
    const attacked = await launch(server.url, attack, 20_000, attack.mustClose ? 30_000 : 100);
    await victim.stop();
    expect(attacked.landed).toBe(true);
    if (attack.mustClose) expect(attacked.closed).toBe(true);
    expect(server.exited).toBe(false);
    expect(victim.failures).toEqual([]);
    expect(victim.latenciesMs.length).toBeGreaterThan(0);
  });
}

test("nothing of the attackers stays", async () => {
  const open = () => readdirSync(`/proc/${server.child.pid}/fd`).length;
  await expect.poll(open, { timeout: 20_000 }).toBeLessThan(60);
});
