import { ReplyProxy } from "./reply-proxy.ts";
import { until, withRig } from "./rig.ts";
import { type Row, Tally } from "./row.ts";

// R15, R16: the server did it and the client does not know; the client asks twice, late, and out of order.

/** The calls of the ledger client that change something. */
const methods = [
  "StartRun",
  "SignalRun",
  "AcquireLease",
  "CompleteStep",
  "ConsumeSignal",
  "CreateTimer",
  "SuspendRun",
  "CompleteRun",
];

/** What was done to each of these calls, and to no other. */
function changing(counts: Readonly<Record<string, number>>): [string, number][] {
  return methods.map((method) => [method, counts[method] ?? 0]);
}
/** Their sum; of one method no more than `most`. */
function sum(counts: Readonly<Record<string, number>>, most = Infinity): number {
  return changing(counts).reduce((total, [, count]) => total + Math.min(count, most), 0);
}

/**
 * The one refusal that a repetition may meet: the client does not renew its leases, and asks so often and so late that
 * some live on no more. That nothing of such an operation is in the file, and its lease did expire there, is checked.
 */
const leaseExpired = "LEASE_LOST behind EXPIRED";
function unexpected(refusals: Readonly<Record<string, number>>): string[] {
  const others = Object.entries(refusals).filter(([cause]) => cause !== leaseExpired);
  return others.map(([cause, count]) => `${count} were refused ${cause}`);
}

/** Goes on until the fault is proven to have happened `trials` times, or until time is over. */
async function throughProxy(
  trials: number,
  set: (proxy: ReplyProxy) => void,
  fired: (proxy: ReplyProxy) => number,
  figures: (proxy: ReplyProxy) => Record<string, number>,
): Promise<Tally> {
  return withRig(async (rig) => {
    const tally = new Tally();
    await rig.serve();
    const proxy = await ReplyProxy.start(rig.url);
    set(proxy);
    const client = rig.clientAt(proxy.url, "replies", "--lanes", "32", "--seed", String(Math.random()));
    const timeoutMs = Math.max(120_000, trials * 1_000);
    await until(() => fired(proxy) >= trials, "every call was hit often enough", timeoutMs).catch((error: Error) =>
      tally.violations.push(error.message),
    );
    tally.violations.push(...(await rig.endClient(client)));
    await until(() => proxy.idle, "the last copy has come");
    for (const [method, count] of Object.entries(proxy.unanswered))
      tally.violations.push(`${count} ${method} were never answered`);
    proxy.close();
    await rig.server.signal("SIGTERM");
    const { checked, problems } = await rig.checkBoth();
    tally.violations.push(...problems, ...unexpected(checked.refusals));
    tally.trials = trials;
    tally.fired = Math.min(trials, fired(proxy));
    Object.assign(tally.figures, figures(proxy), {
      [`refused ${leaseExpired}`]: checked.refusals[leaseExpired] ?? 0,
      runs: checked.runs,
    });
    return tally;
  });
}

const lostAnswers: Row = {
  id: "R15",
  fault: "the answer to a call is lost after the commit; the client asks again with the same ids",
  trials: 500,
  run: (trials) =>
    throughProxy(
      methods.length * trials,
      (proxy) => {
        proxy.loseShare = 0.5;
      },
      // Each method must be hit so often: more of another one do not make up for it.
      ({ lost }) => sum(lost, trials),
      ({ lost, lostOthers }) => ({
        ...Object.fromEntries(changing(lost)),
        "answers without a commit, lost too": lostOthers,
      }),
    ),
};

const repeatedRequests: Row = {
  id: "R16",
  fault: "requests are sent up to three times more, up to 2 s late, so that they overtake each other",
  trials: 2_000,
  run: (trials) =>
    throughProxy(
      trials,
      (proxy) => {
        proxy.copiesMax = 3;
        proxy.spreadMs = 2_000;
      },
      ({ repeated }) => sum(repeated),
      ({ repeated, early, late }) => ({
        ...Object.fromEntries(changing(repeated)),
        "copies answered before the client's own request": early,
        "copies sent after a later request of the run was answered": late,
      }),
    ),
};

export const replyRows: readonly Row[] = [lostAnswers, repeatedRequests];
