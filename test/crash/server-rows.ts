import { setTimeout as pause } from "node:timers/promises";
import { spawn } from "node:child_process";
import { Client } from "../../clients/typescript/src/index.ts";
import { EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseEndReason } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { allHeld, goProgramPath, isStopped, lostLeases, type Rig, sdks, until, withRig, withSdks } from "./rig.ts";
import { quantile, type Row, Tally } from "./row.ts";
import { allOnce, startProgram } from "./sdk-program.ts";
import { metricsOf, rssKiBOf } from "./server-facts.ts";

// R11, R17, R18: the server itself is stopped, restarted under a thousand workers, and drained.

/** The promise, not the setting: a product that admits more must fail. */
const hellosAdmittedMax = 300;

/** Leases that ended because nobody renewed them, in all runs of the queue "sdk". */
async function expiredLeases(client: Client, runIds: readonly string[]): Promise<number> {
  let expired = 0;
  for (const runId of runIds) {
    for await (const event of client.watch(runId)) {
      if (event.type === EventType.LEASE_ENDED && event.leaseEndReason === LeaseEndReason.EXPIRED) expired += 1;
    }
  }
  return expired;
}

const stoppedServer: Row = {
  id: "R11",
  fault: "the server is stopped for two lease TTLs while workers hold leases, and goes on",
  trials: 50,
  run: (trials) =>
    withRig(
      async (rig) => {
        const tally = new Tally();
        await rig.serve();
        const client = new Client({ address: rig.url });
        for (const sdk of sdks) rig.sdkWorker(sdk, sdk, { killPoint: "slow" });
        for (let number = 1; number <= trials; number++) {
          await tally.trial(`stop ${number}`, async () => {
            const runs = await Promise.all(
              Array.from({ length: 10 }, () => client.start("torture", { queue: "sdk", input: {} })),
            );
            const runIds = runs.map((run) => run.runId);
            await allHeld(client, runIds);
            const { child } = rig.server;
            child.kill("SIGSTOP");
            const atFirst = await until(() => isStopped(child), "the server stops", 1_000).then(
              () => true,
              () => false,
            );
            await pause(2 * 2_000);
            const proof = atFirst && isStopped(child);
            child.kill("SIGCONT");
            await Promise.all(runs.map((run) => run.result({ timeoutMs: 60_000 })));
            const expired = await expiredLeases(client, runIds);
            tally.add("leases that expired", expired);
            tally.add("runs", runs.length);
            return {
              proof,
              violations: expired > runs.length / 2 ? [`${expired} of ${runs.length} leases expired`] : [],
            };
          });
        }
        client.close();
        await rig.server.signal("SIGTERM");
        tally.violations.push(...(await rig.checkBoth({ finished: true })).problems);
        return tally;
      },
      ["--lease-ttl", "2s"],
    ),
};

const workersOfStorm = 1_000;

const reconnectStorm: Row = {
  id: "R17",
  fault: "SIGKILL of the server under 1,000 connected workers, and a new server: all come back at once",
  trials: 20,
  run: (trials) =>
    withRig(
      async (rig) => {
        const tally = new Tally();
        await rig.serve();
        const env = { ...process.env, TORTURE_WORKERS: String(workersOfStorm) };
        rig.keep(
          spawn(goProgramPath("tortureworker"), [rig.url, "sdk", rig.sink, "storm", ""], { env, stdio: "ignore" }),
        );
        const backMs: number[] = [];
        const startMs: number[] = [];
        let mostPerSecond = 0;
        let putOff = 0;
        let awayMs = 0;
        await until(async () => (await arrivals(rig)).sessions >= workersOfStorm, "all workers are there", 60_000);
        const steadyKiB = rssKiBOf(rig);
        for (let number = 1; number <= trials; number++) {
          await tally.trial(`storm ${number}`, async () => {
            const killedAtMs = performance.now();
            await rig.server.signal("SIGKILL");
            await rig.serve();
            const listeningAtMs = performance.now();
            awayMs = Math.max(awayMs, listeningAtMs - killedAtMs);
            const seen: Arrivals[] = [];
            await until(
              async () => {
                seen.push(await arrivals(rig));
                return (seen.at(-1)?.sessions ?? 0) >= workersOfStorm;
              },
              "all workers are back",
              90_000,
            );
            const violations: string[] = [];
            const ms = performance.now() - listeningAtMs;
            backMs.push(ms);
            if (ms > 30_000) violations.push(`all were back after ${Math.round(ms)} ms`);
            const most = mostInASecond(seen);
            mostPerSecond = Math.max(mostPerSecond, most);
            putOff += seen.at(-1)?.putOff ?? 0;
            if (most > hellosAdmittedMax) violations.push(`${most} Hellos were admitted in one second`);
            const client = new Client({ address: rig.url });
            for (let start = 0; start < 50; start++) {
              const begunAtMs = performance.now();
              await client.start("torture", { queue: "nobody", input: {} });
              startMs.push(performance.now() - begunAtMs);
            }
            client.close();
            return { proof: (seen[0]?.admitted ?? workersOfStorm) < workersOfStorm, violations };
          });
        }
        const afterKiB = rssKiBOf(rig);
        if (afterKiB > 1.5 * steadyKiB) tally.violations.push(`it holds ${afterKiB} KiB after ${steadyKiB} KiB`);
        if (quantile(startMs, 0.99) > 1_000) tally.violations.push("StartRun is slow behind the storm");
        await rig.server.signal("SIGTERM");
        tally.violations.push(...(await rig.checkBoth()).problems);
        tally.figures["server away max ms"] = Math.round(awayMs);
        tally.figures["all back p50 ms"] = quantile(backMs, 0.5);
        tally.figures["all back max ms"] = quantile(backMs, 1);
        tally.figures["most Hellos admitted in a second"] = mostPerSecond;
        tally.figures["Hellos told to come back later"] = putOff;
        tally.figures["StartRun p99 ms afterwards"] = quantile(startMs, 0.99);
        tally.figures["RSS MiB before, after"] = `${Math.round(steadyKiB / 1024)}, ${Math.round(afterKiB / 1024)}`;
        return tally;
      },
      ["--lease-ttl", "10s"],
    ),
};

interface Arrivals {
  /** The server counted at some moment between these two. */
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly sessions: number;
  readonly admitted: number;
  readonly putOff: number;
}

async function arrivals(rig: Rig): Promise<Arrivals> {
  const askedAtMs = performance.now();
  const metric = await metricsOf(rig);
  const putOff = metric("hellos_put_off_total");
  return {
    askedAtMs,
    answeredAtMs: performance.now(),
    sessions: metric("sessions"),
    admitted: metric("hellos_total") - putOff,
    putOff,
  };
}

/** The most that were admitted between two counts that are certainly no more than a second apart. */
function mostInASecond(seen: readonly Arrivals[]): number {
  return Math.max(
    ...seen.map((from) => {
      const to = seen.findLast(({ answeredAtMs }) => answeredAtMs <= from.askedAtMs + 1_000);
      return (to ?? from).admitted - from.admitted;
    }),
  );
}

/** What a server that stops waits for calls under way, at the most. */
const closeGraceMs = 5_000;

const lanesOfProgram = 8;

const drainedServer: Row = {
  id: "R18",
  fault: `SIGTERM of the server under load of a ledger client and of programs (${sdks.join(", ")}), and a new one`,
  trials: 50,
  run: (trials) =>
    withSdks(async (rig, tally) => {
      const drainsMs: number[] = [];
      const awayMs: number[] = [];
      const ledger = rig.client("ledger", "--lanes", "16", "--sdk", "--seed", String(Math.random()));
      const programs = sdks.map((sdk) =>
        startProgram(rig, sdk, { address: rig.url, queue: `program-${sdk}`, lanes: lanesOfProgram }),
      );
      for (const { sdk, queue } of programs) rig.sdkWorker(sdk, `worker of ${queue}`, { queue });
      for (const sdk of sdks) rig.sdkWorker(sdk, sdk);
      for (let number = 1; number <= trials; number++) {
        await tally.trial(`drain ${number}`, async () => {
          await rig.answered();
          await pause(Math.random() * 300);
          const begunAtMs = performance.now();
          await rig.server.signal("SIGTERM");
          const ms = performance.now() - begunAtMs;
          drainsMs.push(ms);
          const { exitCode, signalCode } = rig.server.child;
          await rig.serve();
          awayMs.push(performance.now() - begunAtMs);
          await rig.answered();
          // One stop is to be survived, not a server that is away more than it is there.
          const finished = programs.map((program) => program.finished + lanesOfProgram);
          await until(
            () => programs.every((program, n) => program.finished >= (finished[n] ?? 0)),
            "the programs go on",
          );
          const violations = exitCode === 0 ? [] : [`it ended with ${exitCode ?? signalCode}`];
          if (ms > 10_000) violations.push(`it took ${Math.round(ms)} ms`);
          return { proof: exitCode !== null || signalCode !== null, violations };
        });
      }
      tally.violations.push(...(await rig.endClient(ledger)));
      for (const program of programs) tally.violations.push(...(await program.stop()));
      tally.violations.push(...(await allOnce(rig, programs)));
      await rig.server.signal("SIGTERM");
      tally.violations.push(...(await rig.checkBoth()).problems);
      const errors = programs.flatMap(({ sdk, errors }) => errors.map((error) => `the program on ${sdk}: ${error}`));
      tally.violations.push(...errors);
      if (programs.some(({ finished }) => finished === 0)) tally.violations.push("a program has finished nothing");
      const p50Ms = quantile(drainsMs, 0.5);
      // The grace is for calls that have no answer yet: most drains find none, and must not wait for it.
      if (p50Ms > closeGraceMs / 2) tally.violations.push(`half of the drains took ${p50Ms} ms or more`);
      tally.figures["runs of the programs"] = programs.map(({ finished }) => finished).join(", ");
      tally.figures["errors that they were told"] = errors.length;
      tally.figures["drain p50 ms"] = p50Ms;
      tally.figures["drain max ms"] = quantile(drainsMs, 1);
      tally.figures["until a new server listens p50, max ms"] = `${quantile(awayMs, 0.5)}, ${quantile(awayMs, 1)}`;
    }),
};

const ttlMs = 2_000;
const stepsOfRun = 4;
/** Behind this nothing of a worker that renews nothing is left. */
const graceAndTtlMs = 1.5 * ttlMs;

const drainedWorker: Row = {
  id: "R18w",
  fault: `SIGTERM of a worker with ten runs in the middle of steps of 5 s, under a lease TTL of ${ttlMs / 1_000} s`,
  trials: 51,
  run: (trials) =>
    withSdks(
      async (rig, tally) => {
        const drainsMs: number[] = [];
        const client = new Client({ address: rig.url });
        for (let number = 1; number <= trials; number++) {
          const sdk = sdks[number % sdks.length] as (typeof sdks)[number];
          await tally.trial(`${sdk} ${number}`, async () => {
            const runs = await Promise.all(
              Array.from({ length: 10 }, () => client.start("torture", { queue: "sdk", input: {} })),
            );
            const worker = rig.sdkWorker(sdk, `${sdk}-${number}`, { killPoint: "patient" });
            const runIds = runs.map((run) => run.runId);
            await until(() => runIds.every((runId) => rig.calls(runId) > 0), "all runs are in a step");
            const stoppedAtMs = performance.now();
            const code = await rig.end(worker, "SIGTERM");
            const drainMs = performance.now() - stoppedAtMs;
            drainsMs.push(drainMs);
            const next = rig.sdkWorker(sdk, `${sdk}-${number}-next`);
            await Promise.all(runs.map((run) => run.result({ timeoutMs: 30_000 })));
            await rig.end(next);
            const violations = code === 0 ? [] : [`the worker ended with ${code}`];
            // Longer than any lease lives that nobody renews: each step is over, recorded, and never run again.
            if (drainMs < graceAndTtlMs)
              violations.push(`it ended in the middle of its steps, in ${Math.round(drainMs)} ms`);
            const again = runIds.filter((runId) => rig.calls(runId) !== stepsOfRun).length;
            if (again > 0) violations.push(`steps of ${again} runs were run again`);
            return { proof: code !== null, violations };
          });
        }
        client.close();
        await rig.server.signal("SIGTERM");
        const { checked, problems } = await rig.checkBoth({ finished: true });
        tally.violations.push(...problems, ...lostLeases(checked.leaseEnds));
        tally.figures["drain p50 ms"] = quantile(drainsMs, 0.5);
        tally.figures["drain max ms"] = quantile(drainsMs, 1);
      },
      ["--lease-ttl", `${ttlMs / 1_000}s`],
    ),
};

export const serverRows: readonly Row[] = [stoppedServer, reconnectStorm, drainedServer, drainedWorker];
