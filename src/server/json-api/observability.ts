import { pageSizeMax } from "../../limits.ts";
import { answer, answerList, type Exchange, namespace } from "./exchange.ts";
import { statusesOf, stepNumberOf, workflowOf } from "./views.ts";

/** All workflows of one of the seed's statuses, newest first, page by page. */
export function listByStatus(status: Parameters<typeof statusesOf>[0]): (exchange: Exchange) => Promise<void> {
  const statuses = statusesOf(status);
  return async (exchange) => {
    const { engine } = exchange;
    let count = 0;
    async function* values() {
      const filter = { namespace, workflow: "", queue: "", runKey: "", statuses };
      for (let beforeRunNo = Number.MAX_SAFE_INTEGER, more = true; more; ) {
        const page = await engine.listRuns(filter, { beforeRunNo, limit: pageSizeMax });
        more = page.more;
        beforeRunNo = page.items.at(-1)?.runNo ?? 0;
        for (const run of page.items) {
          count += 1;
          yield workflowOf(engine, run);
        }
      }
    }
    await answerList(exchange, values(), '{"items":[', () => `],"count":${count}}\n`);
  };
}

export async function averageStepDuration(exchange: Exchange): Promise<void> {
  const rows = await exchange.engine.stepStats({ namespace, workflow: "" });
  const averages: Record<string, number> = {};
  for (const { stepKey, averageDurationMs } of rows) {
    if (stepNumberOf(stepKey) !== undefined) averages[stepKey] = averageDurationMs / 1_000;
  }
  answer(exchange, averages);
}
