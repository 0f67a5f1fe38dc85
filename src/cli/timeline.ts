import type { Client } from "@connectrpc/connect";
import { type Event, EventSchema, EventTypeSchema } from "../../gen/ts/everstep/v1/event_pb.ts";
import type { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { type OutputFormat, printLine, printMessage } from "./output.ts";

/** Prints the history of a run until it is closed. */
export async function watchRun(
  client: Client<typeof RunService>,
  ref: { namespace: string; runId: string },
  format: OutputFormat,
  options: { afterSeq?: bigint; signal?: AbortSignal } = {},
): Promise<void> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  let startMs: bigint | undefined;
  for await (const { events } of client.watchRun({ ...ref, afterSeq: options.afterSeq ?? 0n }, call)) {
    for (const event of events) {
      startMs ??= event.atMs;
      if (format !== "table") printMessage(EventSchema, event, "jsonl");
      else printLine(timelineLine(event, startMs));
    }
  }
}

/** One event as a line: when, what, and what is worth knowing of it. */
export function timelineLine(event: Event, startMs: bigint): string {
  const seconds = (Number(event.atMs - startMs) / 1_000).toFixed(3).padStart(8);
  const name = (EventTypeSchema.value[event.type]?.localName ?? String(event.type)).toLowerCase().replaceAll("_", " ");
  return `${seconds}s  ${String(event.seq).padStart(3)}  ${name.padEnd(20)} ${detailOf(event)}`.trimEnd();
}

function detailOf(event: Event): string {
  const parts: string[] = [];
  if (event.stepKey !== "") parts.push(event.stepKey);
  if (event.name !== "") parts.push(event.name);
  if (event.attempt > 1) parts.push(`attempt ${event.attempt}`);
  if (event.workerId !== "") parts.push(`by ${event.workerId}, epoch ${event.epoch}`);
  if (event.failure !== undefined) parts.push(`${event.failure.type}: ${event.failure.message}`);
  if (event.payload?.data.case === "json") parts.push(shorten(event.payload.data.value));
  if (event.reason !== "") parts.push(event.reason);
  return parts.join("  ");
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
