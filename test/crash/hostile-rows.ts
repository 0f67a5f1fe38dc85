import { readdirSync, readFileSync } from "node:fs";
import { attacks, launch } from "../hostile/http2-attacks.ts";
import { Victim } from "../hostile/victim.ts";
import { type Rig, withRig } from "./rig.ts";
import { quantile, type Row, Tally } from "./row.ts";

function rssMiB(rig: Rig): number {
  const status = readFileSync(`/proc/${rig.server.child.pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}

/** Frames of one attack. */
const size = 20_000;

const http2Attacks: Row = {
  id: "H1",
  fault: `HTTP/2 abuse, ${size.toLocaleString("en")} frames each, a client of good will beside it: ${attacks.map(({ name }) => name).join(", ")}`,
  trials: attacks.length * 10,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      await rig.serve();
      const calmMs: number[] = [];
      const attackedMs: number[] = [];
      const before = rssMiB(rig);
      for (let number = 0; number < trials; number++) {
        const attack = attacks[number % attacks.length]!;
        await tally.trial(attack.name, async () => {
          const calm = new Victim(rig.url);
          await launch(rig.url, attacks.find(({ name }) => name === "preface only")!, 0, 500);
          await calm.stop();
          calmMs.push(...calm.latenciesMs);
          const victim = new Victim(rig.url);
          const attacked = await launch(
            rig.url,
            attack,
            size,
            attack.mustClose && attack.costly !== true ? 30_000 : 100,
          );
          await victim.stop();
          attackedMs.push(...victim.latenciesMs);
          const violations = victim.failures.slice(0, 2).map((failure) => `the client beside it: ${failure}`);
          if (attack.mustClose && attack.costly !== true && !attacked.closed)
            violations.push("the connection was not closed");
          if (rig.server.exited) violations.push("the server ended");
          return { proof: attacked.sentBytes > 0, violations };
        });
      }
      tally.figures["client beside it p99 ms: calm, attacked"] =
        `${quantile(calmMs, 0.99)}, ${quantile(attackedMs, 0.99)}`;
      tally.figures["RSS MiB before, after"] = `${before}, ${rssMiB(rig)}`;
      tally.figures["file descriptors after"] = readdirSync(`/proc/${rig.server.child.pid}/fd`).length;
      await rig.server.signal("SIGTERM");
      tally.violations.push(...(await rig.checkBoth()).problems);
      return tally;
    }),
};

export const hostileRows: readonly Row[] = [http2Attacks];
