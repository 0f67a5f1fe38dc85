import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";

// What a server says of the runs of its file, asked over HTTP. A server on a damaged file may refuse to say something,
// with a reason; what it says must be what a server on the whole file said.

/** The answers that must never differ, by run id: JSON of the run's end and its events, or `refused` with the error. */
export type Said = ReadonlyMap<string, { readonly text: string } | { readonly refused: string }>;

type Answer = Record<string, unknown> & { code?: string; message?: string };

/** One call of RunService, as JSON. */
export async function ask(url: string, method: string, body: object): Promise<{ ok: boolean; answer: Answer }> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/everstep.v1.RunService/${method}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return { ok: response.ok, answer: (await response.json()) as Answer };
}

/** The ids of the runs that have ended: nothing changes them any more. */
export const closedRuns = (url: string) =>
  listedRuns(url, [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TERMINATED]);

/** The ids of the runs with these statuses, or of all, in one queue or in any. */
export async function listedRuns(url: string, statuses: readonly RunStatus[] = [], queue = ""): Promise<string[]> {
  const ids: string[] = [];
  for (let pageToken = ""; ; ) {
    const { ok, answer } = await ask(url, "ListRuns", { filter: { statuses, queue }, pageSize: 1_000, pageToken });
    if (!ok) throw new Error(`ListRuns: ${answer.message}`);
    ids.push(...((answer.runs ?? []) as { runId: string }[]).map(({ runId }) => runId));
    pageToken = (answer.nextPageToken ?? "") as string;
    if (pageToken === "") return ids;
  }
}

/** All pages of it, or the refusal of one. */
async function historyOf(url: string, runId: string): Promise<{ ok: boolean; answer: Answer }> {
  const events: unknown[] = [];
  for (let pageToken = ""; ; ) {
    const page = await ask(url, "GetRunHistory", { runId, pageSize: 1_000, pageToken });
    if (!page.ok) return page;
    events.push(...((page.answer.events ?? []) as unknown[]));
    pageToken = (page.answer.nextPageToken ?? "") as string;
    if (pageToken === "") return { ok: true, answer: { events } };
  }
}

export async function saidOf(url: string, runIds: readonly string[]): Promise<Said> {
  const said = new Map<string, { text: string } | { refused: string }>();
  for (const runId of runIds) {
    const { ok, answer } = await ask(url, "GetRun", { runId });
    const events = await historyOf(url, runId);
    const refused = [{ ok, answer }, events].find((each) => !each.ok)?.answer;
    if (refused !== undefined) said.set(runId, { refused: `${refused.code}: ${refused.message}` });
    else {
      const { status, input, output, failure } = answer.run as Record<string, unknown>;
      said.set(runId, { text: JSON.stringify([status, input, output, failure, events.answer.events]) });
    }
  }
  return said;
}
