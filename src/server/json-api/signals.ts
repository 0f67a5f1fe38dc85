import { durationMsMax, pageSizeMax } from "../../limits.ts";
import { integerOf, nameOf, payloadOf, readBody } from "./body.ts";
import { answer, answerList, type Exchange, namespace } from "./exchange.ts";
import { eventOf, signalOf } from "./views.ts";
import { idOf } from "./workflows.ts";

export async function sendSignal(exchange: Exchange): Promise<void> {
  const { engine } = exchange;
  const body = await readBody(exchange.request);
  const runId = idOf(body);
  const name = nameOf(body, "signal_type");
  const payload = payloadOf(body, "payload", engine.settings.payloadBytesMax);
  const { signalSeq: seq } = await engine.signalRun({ namespace, runId }, { name, payload, requestId: "" });
  const { items } = await engine.history({ namespace, runId }, { afterSeq: seq - 1, limit: 1 });
  const receivedAtMs = items[0]?.atMs ?? engine.nowMs();
  answer(exchange, signalOf(runId, { seq, name, payload, receivedAtMs, consumedBy: "", open: true }));
}

/** The oldest that is open: under a live lease it is reserved, and comes back when the lease ends without a result. */
export async function consumeSignal(exchange: Exchange): Promise<void> {
  const { engine, id } = exchange;
  const signal = await engine.takeSignal({ namespace, runId: id });
  answer(exchange, signal === undefined ? { status: "no_signal" } : signalOf(id, signal));
}

export async function listSignals(exchange: Exchange): Promise<void> {
  const { engine, id } = exchange;
  const onlyOpen = exchange.query.get("unconsumed") === "true";
  async function* values() {
    for (let afterSeq = 0, more = true; more; ) {
      const page = await engine.listSignals({ namespace, runId: id }, { onlyOpen, afterSeq, limit: pageSizeMax });
      more = page.more;
      afterSeq = page.items.at(-1)?.seq ?? afterSeq;
      for (const signal of page.items) yield signalOf(id, signal);
    }
  }
  await answerList(exchange, values(), "[", () => "]\n");
}

export async function createTimer(exchange: Exchange): Promise<void> {
  const body = await readBody(exchange.request);
  const runId = idOf(body);
  const secondsMax = durationMsMax / 1_000;
  const wakeAt = integerOf(body, "wake_at", -secondsMax, secondsMax);
  const { seq } = await exchange.engine.addTimer({ namespace, runId }, wakeAt * 1_000);
  answer(exchange, { timer_id: seq, workflow_id: runId, wake_at: wakeAt, fired: false });
}

export async function listEvents(exchange: Exchange): Promise<void> {
  const { engine, id } = exchange;
  async function* values() {
    let shown = 0;
    for (let afterSeq = 0, more = true; more; ) {
      const page = await engine.history({ namespace, runId: id }, { afterSeq, limit: pageSizeMax });
      more = page.more;
      afterSeq = page.items.at(-1)?.seq ?? afterSeq;
      for (const event of page.items) {
        const value = eventOf(id, event, shown);
        if (value === undefined) continue;
        shown += 1;
        yield value;
      }
    }
  }
  await answerList(exchange, values(), "[", () => "]\n");
}
