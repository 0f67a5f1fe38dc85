import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

// Every call that goes on from a token, in one shape: what it is asked about, the token, and the page that comes of it.

/** What a call is asked about, beside the token. */
export type Asked = Readonly<Record<string, unknown>>;

export interface Page {
  readonly items: readonly string[];
  readonly token: string;
}

export interface List {
  /** Name of the RPC, and of the field that takes the token. */
  readonly method: string;
  readonly field: "page_token" | "cursor";
  /** The first is asked about; a token that it gave out is no good for any of the others. */
  readonly asked: readonly [Asked, ...Asked[]];
  page(asked: Asked, token: string): Promise<Page>;
}

export const itemsOfEach = 4;

/** Runs, signals and steps in two queues and two namespaces. */
export async function fillLists(url: string): Promise<void> {
  for (const namespace of ["default", "other"]) {
    for (const queue of ["long", "more"]) await fillQueue(url, namespace, queue);
  }
}

export function listsOf(url: string): readonly List[] {
  const runs = createClient(RunService, createGrpcTransport({ baseUrl: url }));
  const run = { runId: "long-0", namespace: "" };
  const otherRuns = [
    { ...run, runId: "more-0" },
    { ...run, namespace: "other" },
  ];
  const filter = { namespace: "", workflow: "", queue: "long", runKey: "", statuses: [] };
  const otherFilters = [
    { ...filter, namespace: "other" },
    { ...filter, workflow: "w" },
    { ...filter, queue: "" },
    { ...filter, queue: "more" },
    { ...filter, runKey: "k" },
    { ...filter, statuses: [RunStatus.QUEUED] },
    { ...filter, statuses: [RunStatus.QUEUED, RunStatus.RUNNING] },
  ].map((changed) => ({ filter: changed }));
  const pageSize = 1;
  return [
    {
      method: "ListRuns",
      field: "page_token",
      asked: [{ filter }, ...otherFilters],
      async page(asked, pageToken) {
        const page = await runs.listRuns({ ...asked, pageSize, pageToken });
        return { items: page.runs.map(({ runId }) => runId), token: page.nextPageToken };
      },
    },
    {
      method: "GetRunHistory",
      field: "page_token",
      asked: [run, ...otherRuns],
      async page(asked, pageToken) {
        const page = await runs.getRunHistory({ ...asked, pageSize, pageToken });
        return { items: page.events.map(({ seq }) => `${seq}`), token: page.nextPageToken };
      },
    },
    {
      method: "ListSteps",
      field: "page_token",
      asked: [run, ...otherRuns],
      async page(asked, pageToken) {
        const page = await runs.listSteps({ ...asked, pageSize, pageToken });
        return { items: page.steps.map(({ stepKey }) => stepKey), token: page.nextPageToken };
      },
    },
    {
      method: "ListSignals",
      field: "page_token",
      asked: [run, { ...run, onlyOpen: true }, ...otherRuns],
      async page(asked, pageToken) {
        const page = await runs.listSignals({ ...asked, pageSize, pageToken });
        return { items: page.signals.map(({ name }) => name), token: page.nextPageToken };
      },
    },
    {
      method: "WatchRuns",
      field: "cursor",
      asked: [{ filter }, ...otherFilters],
      page: (asked, cursor) => watchOnce(runs, asked, cursor),
    },
  ];
}

/** The first message with runs, or without any behind a cursor that nothing follows. "" stands for the first page here. */
async function watchOnce(runs: Client<typeof RunService>, asked: Asked, cursor: string): Promise<Page> {
  const gone = new AbortController();
  try {
    for await (const message of runs.watchRuns({ ...asked, cursor: cursor || "0" }, { signal: gone.signal })) {
      if (message.runs.length > 0 || cursor !== "") {
        return { items: message.runs.map(({ runId }) => runId), token: message.cursor };
      }
    }
  } finally {
    gone.abort();
  }
  throw new Error("the watch ended");
}

async function fillQueue(url: string, namespace: string, queue: string): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: url });
  const runs = createClient(RunService, transport);
  const leases = createClient(LeaseService, transport);
  for (let no = 0; no < itemsOfEach; no++) {
    await runs.startRun({ namespace, workflow: "w", queue, runId: `${queue}-${no}` });
  }
  const { assignment } = await leases.acquireLease({ namespace, queues: [queue], workerId: "w", waitMs: 10_000n });
  const lease = assignment?.lease;
  if (lease?.runId !== `${queue}-0`) throw new Error("the first run was not granted");
  for (let no = 0; no < itemsOfEach; no++) {
    await leases.completeStep({
      namespace,
      lease,
      stepKey: `step-${no}`,
      output: { data: { case: "json", value: "1" } },
    });
    await runs.signalRun({ namespace, runId: `${queue}-0`, name: `signal-${no}` });
  }
}
