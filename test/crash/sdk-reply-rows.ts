import { fromBinary } from "@bufbuild/protobuf";
import { SessionResponseSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { MessageProxy, type PassingMessage } from "../support/message-proxy.ts";
import { lostLeases, type Rig, type Sdk, sdks, until, withSdks } from "./rig.ts";
import type { Row, Tally } from "./row.ts";
import { allOnce, type SdkProgram, startProgram } from "./sdk-program.ts";

// R15s, R16s: what R15 and R16 do to single calls, done to SDKs: to the streams of their workers and to the calls of
// programs, which start runs and signal them. A worker's stream is in order, so nothing of it overtakes or repeats
// itself but what its SDK says again behind a loss.

const calls = ["StartRun", "SignalRun"];
const methodOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

/** Of so many answers one is lost, so that there is progress as well. */
const loseEvery = 8;
const workersOfEach = 2;
const lanesOfEach = 8;
const spreadMs = 2_000;
const copiesMax = 3;

/** Results of ops: the server has committed what they tell. */
function tellsResults({ from, path, message }: PassingMessage): boolean {
  if (from !== "server" || methodOf(path) !== "Session") return false;
  return fromBinary(SessionResponseSchema, message).frame?.frame.case === "opResults";
}

/** Ends of a lease whose assignment was lost with its connection: only of such a run a first step may have begun. */
const neverAccepted = ["UNACCEPTED", "UNDELIVERED"];

interface Disturbed {
  readonly rig: Rig;
  readonly tally: Tally;
  /** Where the SDK's program connects. */
  programUrl(sdk: Sdk): string;
  /** Where its workers do, who carry the program's runs. */
  workerUrl(sdk: Sdk): string;
  over(): boolean;
}

/** Programs and workers go on until the fault has happened often enough; then all of it is read. */
async function carryOn(
  { rig, tally, programUrl, workerUrl, over }: Disturbed,
  timeoutMs: number,
): Promise<SdkProgram[]> {
  for (const sdk of sdks) {
    for (let n = 0; n < workersOfEach; n++) rig.sdkWorker(sdk, `${sdk}-${n}`, { address: workerUrl(sdk), queue: sdk });
  }
  const programs = sdks.map((sdk) =>
    startProgram(rig, sdk, { address: programUrl(sdk), queue: sdk, lanes: lanesOfEach }),
  );
  await until(over, "the fault has happened often enough", timeoutMs).catch((error: Error) =>
    tally.violations.push(error.message),
  );
  let finished = 0;
  for (const program of programs) {
    tally.violations.push(...(await program.stop()));
    finished += program.finished;
    tally.violations.push(...program.errors.map((error) => `the program on ${program.sdk} was told: ${error}`));
  }
  tally.figures.runs = finished;
  tally.violations.push(...(await allOnce(rig, programs)));
  return programs;
}

async function readFile(rig: Rig, tally: Tally): Promise<void> {
  await rig.server.signal("SIGTERM");
  const { checked, problems } = await rig.checkBoth({ finished: true });
  tally.violations.push(...problems, ...lostLeases(checked.leaseEnds, neverAccepted));
  const { calls: bodies = 0, results = 0 } = checked.sink ?? {};
  const again = neverAccepted.reduce((sum, reason) => sum + (checked.leaseEnds[reason] ?? 0), 0);
  if (bodies > results + again) tally.violations.push(`${bodies} bodies ran for ${results} results`);
  tally.figures["step bodies run"] = bodies;
  tally.figures["step results"] = results;
  tally.figures["leases whose assignment was lost, too"] = again;
}

const lostAnswers: Row = {
  id: "R15s",
  fault: `the answer to an SDK is lost after the commit, and its connection: results on the stream of a worker, answers to ${calls.join(" and ")} (${sdks.join(", ")})`,
  trials: 500,
  run: (trials) =>
    withSdks(
      async (rig, tally) => {
        const kinds = sdks.flatMap((sdk) => [
          ...calls.map((call) => `${call} by ${sdk}`),
          `results of a ${sdk} worker`,
        ]);
        const lost = new Map(kinds.map((kind) => [kind, 0]));
        const seen = new Map<string, number>();
        const fate = (kind: string) => {
          const count = (seen.get(kind) ?? 0) + 1;
          seen.set(kind, count);
          const before = lost.get(kind);
          if (before === undefined || before >= trials || count % loseEvery > 0) return "pass";
          lost.set(kind, before + 1);
          return "lose";
        };
        const proxies = new Map<string, MessageProxy>();
        for (const sdk of sdks) {
          const ofProgram = ({ from, path }: PassingMessage) =>
            from === "server" ? fate(`${methodOf(path)} by ${sdk}`) : "pass";
          const ofWorker = (message: PassingMessage) =>
            tellsResults(message) ? fate(`results of a ${sdk} worker`) : "pass";
          proxies.set(`program ${sdk}`, await MessageProxy.start(rig.url, { fateOf: ofProgram }));
          proxies.set(`worker ${sdk}`, await MessageProxy.start(rig.url, { fateOf: ofWorker }));
        }
        const disturbed: Disturbed = {
          rig,
          tally,
          programUrl: (sdk) => proxies.get(`program ${sdk}`)?.url ?? "",
          workerUrl: (sdk) => proxies.get(`worker ${sdk}`)?.url ?? "",
          over: () => [...lost.values()].every((count) => count >= trials),
        };
        await carryOn(disturbed, Math.max(120_000, trials * 2_000));
        for (const proxy of proxies.values()) proxy.close();
        await readFile(rig, tally);
        tally.trials = kinds.length * trials;
        tally.fired = [...lost.values()].reduce((sum, count) => sum + count, 0);
        Object.assign(tally.figures, Object.fromEntries(lost));
      },
      ["--lease-ttl", "30s"],
    ),
};

/** When a request and its copies are sent. */
function sendings(path: string): readonly number[] {
  if (!calls.includes(methodOf(path))) return [];
  const copies = Math.floor(Math.random() * (copiesMax + 1));
  // The own one comes behind a copy now and then, but soon enough that the program gets on.
  return [(Math.random() * spreadMs) / 8, ...Array.from({ length: copies }, () => Math.random() * spreadMs)];
}

const repeatedRequests: Row = {
  id: "R16s",
  fault: `${calls.join(" and ")} of a program (${sdks.join(", ")}) are sent up to ${copiesMax} times more, up to ${spreadMs / 1_000} s late`,
  trials: 2_000,
  run: (trials) =>
    withSdks(
      async (rig, tally) => {
        let answered = 0;
        const proxies = new Map<Sdk, MessageProxy>();
        for (const sdk of sdks) {
          const copyAnswered = (path: string) => {
            answered += 1;
            tally.add(`${methodOf(path)} by ${sdk}`);
          };
          proxies.set(sdk, await MessageProxy.start(rig.url, { sendings, copyAnswered }));
        }
        const disturbed: Disturbed = {
          rig,
          tally,
          programUrl: (sdk) => proxies.get(sdk)?.url ?? "",
          workerUrl: () => rig.url,
          over: () => answered >= trials,
        };
        const programs = await carryOn(disturbed, trials * 100 + 120_000);
        await until(
          () => [...proxies.values()].every(({ copiesOpen }) => copiesOpen === 0),
          "the last copy is answered",
        );
        for (const proxy of proxies.values()) proxy.close();
        tally.violations.push(...(await allOnce(rig, programs)));
        await readFile(rig, tally);
        tally.trials = trials;
        tally.fired = Math.min(trials, answered);
      },
      ["--lease-ttl", "30s"],
    ),
};

export const sdkReplyRows: readonly Row[] = [lostAnswers, repeatedRequests];
