import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Engine } from "../engine/api.ts";
import type { RunFilter } from "../store/store.ts";
import type { RunService, WatchRunRequest, WatchRunsRequest } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { callSignal, revokedError } from "./call.ts";
import { eventTo } from "./convert/event.ts";
import { runSummaryBytes, runSummaryTo, signalBytes, signalTo, stepBytes, stepTo, timerTo } from "./convert/run.ts";
import { filterFrom } from "./convert/start.ts";
import { fitPage, PageTokens } from "./page-token.ts";
import { refFrom } from "./run-ref.ts";
import { checkPageSize, checkSeq, nested } from "./validate.ts";

// Lists page by page, and watches.

type RunServiceImpl = ServiceImpl<typeof RunService>;
type Lists = "listRuns" | "getRunHistory" | "listSteps" | "listSignals" | "listTimers" | "watchRun" | "watchRuns";

export function createRunLists(engine: Engine): Pick<RunServiceImpl, Lists> {
  return {
    async listRuns(request) {
      const filter = nested("filter", () => filterFrom(request.filter));
      const limit = checkPageSize(request.pageSize);
      const tokens = new PageTokens("runs", question(filter));
      const [beforeRunNo] = tokens.read(request.pageToken) ?? [Number.MAX_SAFE_INTEGER];
      const page = fitPage(
        await engine.listRuns(filter, { beforeRunNo: beforeRunNo as number, limit }),
        runSummaryBytes,
      );
      const last = page.items.at(-1);
      const nextPageToken = page.more && last ? tokens.write(last.runNo) : "";
      return { runs: page.items.map(runSummaryTo), nextPageToken };
    },
    async getRunHistory(request) {
      const limit = checkPageSize(request.pageSize);
      const from = checkSeq("after_seq", request.afterSeq);
      const ref = refFrom(request);
      const tokens = new PageTokens("history", ref);
      const [afterSeq] = tokens.read(request.pageToken) ?? [from];
      const history = await engine.history(ref, { afterSeq: afterSeq as number, limit });
      const page = fitPage(history, (event) => 64 + event.bytes);
      const last = page.items.at(-1);
      const nextPageToken = page.more && last ? tokens.write(last.seq) : "";
      return { events: page.items.map(eventTo), nextPageToken };
    },
    async listSteps(request) {
      const limit = checkPageSize(request.pageSize);
      const ref = refFrom(request);
      const tokens = new PageTokens("steps", ref);
      const [offset = 0] = tokens.read(request.pageToken) ?? [];
      const page = fitPage(await engine.listSteps(ref, { offset, limit }), stepBytes);
      const nextPageToken = page.more ? tokens.write(offset + page.items.length) : "";
      return { steps: page.items.map(stepTo), nextPageToken };
    },
    async listSignals(request) {
      const limit = checkPageSize(request.pageSize);
      const ref = refFrom(request);
      const { onlyOpen } = request;
      const tokens = new PageTokens("signals", { ...ref, onlyOpen });
      const [afterSeq = 0] = tokens.read(request.pageToken) ?? [];
      const page = fitPage(await engine.listSignals(ref, { onlyOpen, afterSeq, limit }), signalBytes);
      const last = page.items.at(-1);
      const nextPageToken = page.more && last ? tokens.write(last.seq) : "";
      return { signals: page.items.map(signalTo), nextPageToken };
    },
    async listTimers(request) {
      return { timers: (await engine.listTimers(refFrom(request))).map(timerTo) };
    },
    watchRun: (request, context) => watchRun(engine, request, context),
    watchRuns: (request, context) => watchRuns(engine, request, context),
  };
}

async function* watchRun(engine: Engine, request: WatchRunRequest, context: HandlerContext) {
  const afterSeq = checkSeq("after_seq", request.afterSeq);
  const signal = callSignal(context);
  for await (const events of engine.watchRun(refFrom(request), { afterSeq, signal })) {
    yield { events: events.map(eventTo) };
  }
  throwIfRevoked(context);
}

async function* watchRuns(engine: Engine, request: WatchRunsRequest, context: HandlerContext) {
  const filter = nested("filter", () => filterFrom(request.filter));
  const tokens = new PageTokens("watch", question(filter));
  const from = cursorFrom(tokens, request.cursor);
  const signal = callSignal(context);
  for await (const { runs, cursor } of engine.watchRuns(filter, { cursor: from, signal })) {
    yield { runs: runs.map(runSummaryTo), cursor: tokens.write(cursor.commitNo, cursor.runNo) };
  }
  throwIfRevoked(context);
}

function throwIfRevoked(context: HandlerContext): void {
  const revoked = revokedError(context);
  if (revoked !== undefined) throw revoked;
}

/** The same statuses in another order ask for the same runs. */
function question(filter: RunFilter): RunFilter {
  return { ...filter, statuses: [...new Set(filter.statuses)].sort() };
}

/** Empty: from now on. "0": everything first. */
function cursorFrom(tokens: PageTokens, cursor: string): { commitNo: number; runNo: number } | undefined {
  if (cursor === "0") return { commitNo: 0, runNo: 0 };
  const place = tokens.read(cursor);
  return place && { commitNo: place[0] as number, runNo: place[1] as number };
}
