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

async function throughProxy(
  trials: number,
  set: (proxy: ReplyProxy) => void,
  enough: (proxy: ReplyProxy) => boolean,
  fired: (proxy: ReplyProxy) => Record<string, number>,
): Promise<Tally> {
  return withRig(async (rig) => {
    const tally = new Tally();
    await rig.serve();
    const proxy = await ReplyProxy.start(rig.url);
    set(proxy);
    const client = rig.clientAt(proxy.url, "replies", "--lanes", "32", "--seed", String(Math.random()));
    await until(() => enough(proxy), "every call was hit often enough", Math.max(120_000, trials * 4_000));
    await rig.end(client);
    await until(() => proxy.idle, "the last copy has come");
    for (const [method, count] of Object.entries(proxy.unanswered))
      tally.violations.push(`${count} ${method} were never answered`);
    proxy.close();
    await rig.server.signal("SIGTERM");
    const { checked, problems } = await rig.checkBoth();
    tally.violations.push(...problems);
    for (const [method, count] of Object.entries(fired(proxy))) {
      tally.trials += count;
      tally.fired += count;
      tally.figures[method] = count;
    }
    tally.figures.runs = checked.runs;
    return tally;
  });
}

const lostAnswers: Row = {
  id: "R15",
  fault: "the answer to a call is lost after the commit; the client asks again with the same ids",
  trials: 500,
  run: (trials) =>
    throughProxy(
      trials,
      (proxy) => {
        proxy.loseShare = 0.5;
      },
      ({ lost }) => methods.every((method) => (lost[method] ?? 0) >= trials),
      ({ lost }) => lost,
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
      ({ repeated }) => Object.values(repeated).reduce((sum, count) => sum + count, 0) >= trials,
      ({ repeated }) => repeated,
    ),
};

export const replyRows: readonly Row[] = [lostAnswers, repeatedRequests];
