import { setTimeout as pause } from "node:timers/promises";
import { sdks, withSdks } from "./rig.ts";
import { quantile, type Row } from "./row.ts";

/** The most that the 99th of a hundred recoveries may take: from the kill to the next answer, and to the listening. */
const recoveryMsMax = 5_000;
const readyMsMax = 3_000;

/** R1: SIGKILL at random moments under load, again and again on one file. */
export const killServer: Row = {
  id: "R1",
  fault: "SIGKILL of the server at a random moment under load, on one file",
  trials: 1_000,
  run: (kills) =>
    withSdks(async (rig, tally) => {
      const recoveriesMs: number[] = [];
      const readiesMs: number[] = [];
      const client = rig.client("ledger", "--lanes", "20", "--sdk", "--seed", String(Date.now()));
      for (const sdk of sdks) for (const number of [1, 2]) rig.sdkWorker(sdk, `${sdk}-${number}`);
      tally.figures["SDK workers"] = sdks.join(", ");
      for (let kill = 1; kill <= kills; kill++) {
        await tally.trial(`kill ${kill}`, async () => {
          // The fault must hit work: wait for an answer since the last one, then a random moment more.
          await rig.answered();
          await pause(Math.random() * 400);
          await rig.server.signal("SIGKILL");
          const killedAtMs = performance.now();
          const proof = rig.server.child.signalCode === "SIGKILL";
          await rig.serve();
          readiesMs.push(performance.now() - killedAtMs);
          await rig.answered();
          recoveriesMs.push(performance.now() - killedAtMs);
          if (kill % 100 !== 0) return { proof, violations: [] };
          // The load goes on meanwhile: only what was answered before the reading began must be in the file.
          return { proof, violations: (await rig.check({ before: process.hrtime.bigint() })).problems };
        });
      }
      tally.violations.push(...(await rig.endClient(client)));
      const { checked, problems } = await rig.checkBoth();
      tally.violations.push(...problems);
      for (const [operation, count] of Object.entries(checked.operations)) {
        if (operation.endsWith(" ok")) tally.add("acknowledged", count);
      }
      tally.figures.runs = checked.runs;
      tally.figures["step bodies run"] = checked.sink?.calls ?? 0;
      tally.figures["recovery p50 ms"] = quantile(recoveriesMs, 0.5);
      for (const [name, times, max] of [
        ["recovery p99 ms", recoveriesMs, recoveryMsMax],
        ["ready p99 ms", readiesMs, readyMsMax],
      ] as const) {
        const ms = quantile(times, 0.99);
        tally.figures[name] = ms;
        if (ms > max) tally.violations.push(`${name}: ${ms}, may be ${max}`);
      }
    }),
};
