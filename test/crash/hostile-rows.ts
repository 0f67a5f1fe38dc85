import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { type Attack, attacks } from "../hostile/http2-attacks.ts";
import { Victim } from "../hostile/victim.ts";
import { type Rig, withRig } from "./rig.ts";
import { quantile, type Row, Tally } from "./row.ts";
import { descriptorsOf, rssKiBOf } from "./server-facts.ts";

const run = promisify(execFile);

/** Frames of one connection, and how long an attacker comes again and again. */
const size = 20_000;
const attackMs = 2_000;
const calmMs = 1_000;
/** What the client beside it may have to wait, and the server may hold more, while it is attacked. */
const attackedMsMax = 1_000;
/** Some thousand answers that nobody reads, and what the collector has not yet taken of those before them. */
const grownMiBMax = 320;
/**
 * What one attack by resets may add: who opens calls only to give them up must cost no more than their headers. Memory is
 * held against what it was when each attack had come once: any load brings a heap to its working size, an ordinary one too.
 */
const resetGrownMiBMax = 64;

function rssMiB(rig: Rig): number {
  return Math.round(rssKiBOf(rig) / 1024);
}

async function attackOnce(rig: Rig, { name }: Attack) {
  const script = join(import.meta.dirname, "../hostile/attacker.ts");
  const args = [script, rig.url, name, String(size), String(attackMs)];
  const { stdout } = await run(process.execPath, args, { timeout: 120_000 });
  return JSON.parse(stdout) as { connections: number; closed: number; landed: number };
}

/** What a client of good will sees meanwhile. */
async function beside(rig: Rig, meanwhile: Promise<unknown>): Promise<Victim> {
  const victim = new Victim(rig.url);
  await meanwhile;
  await victim.stop();
  return victim;
}

const http2Attacks: Row = {
  id: "H1",
  fault: `HTTP/2 abuse for ${attackMs / 1_000} s each, ${size.toLocaleString("en")} frames a connection, from another process, a client of good will beside it: ${attacks.map(({ name }) => name).join(", ")}`,
  trials: attacks.length * 10,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      await rig.serve();
      const calm: number[] = [];
      const attacked: number[] = [];
      // The first calls of a process are slow: they are nobody's attack.
      await beside(rig, pause(calmMs));
      let before = rssMiB(rig);
      let most = before;
      const grownMiB = new Map<string, number>();
      for (let number = 0; number < trials; number++) {
        const attack = attacks[number % attacks.length] as Attack;
        if (number === attacks.length) most = before = rssMiB(rig);
        await tally.trial(attack.name, async () => {
          calm.push(...(await beside(rig, pause(calmMs))).latenciesMs);
          const calmMiB = rssMiB(rig);
          const attacking = attackOnce(rig, attack);
          const { latenciesMs, failures } = await beside(rig, attacking);
          const { connections, closed, landed } = await attacking;
          attacked.push(...latenciesMs);
          const attackedMiB = rssMiB(rig);
          most = Math.max(most, attackedMiB);
          if (number >= attacks.length)
            grownMiB.set(attack.name, Math.max(grownMiB.get(attack.name) ?? 0, attackedMiB - calmMiB));
          tally.add("connections of attackers", connections);
          const violations = failures.slice(0, 2).map((failure) => `the client beside it: ${failure}`);
          if (attack.mustClose && closed < connections) violations.push("a connection was not closed");
          const p99Ms = quantile(latenciesMs, 0.99);
          if (p99Ms > attackedMsMax) violations.push(`the client beside it waited ${p99Ms} ms (p99)`);
          if (rig.server.exited) violations.push("the server ended");
          // The preface alone is no attack: each connection sent all that it meant to, or was closed for it.
          return { proof: connections > 0 && landed === connections, violations };
        });
      }
      for (const [name, latenciesMs] of Object.entries({ calm, attacked })) {
        const [p50, p99, max] = [0.5, 0.99, 1].map((q) => quantile(latenciesMs, q));
        tally.figures[`client beside it, ${name}: calls, p50, p99, max ms`] =
          `${latenciesMs.length.toLocaleString("en")}, ${p50}, ${p99}, ${max}`;
      }
      tally.figures["RSS MiB that one attack added, most"] = [...grownMiB].map((each) => each.join(" ")).join(", ");
      for (const [name, grown] of grownMiB) {
        if (name.endsWith("reset") && grown > resetGrownMiBMax) tally.violations.push(`${name} added ${grown} MiB`);
      }
      tally.figures["RSS MiB behind one round, most"] = `${before}, ${most}`;
      if (most > before + grownMiBMax) tally.violations.push(`the server grew from ${before} to ${most} MiB`);
      tally.figures["file descriptors after"] = descriptorsOf(rig);
      await rig.server.signal("SIGTERM");
      tally.violations.push(...(await rig.checkBoth()).problems);
      return tally;
    }),
};

export const hostileRows: readonly Row[] = [http2Attacks];
