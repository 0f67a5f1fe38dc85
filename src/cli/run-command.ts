import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { PayloadSchema } from "../../gen/ts/everstep/v1/payload_pb.ts";
import { type Run, RunSchema, RunStatusSchema } from "../../gen/ts/everstep/v1/run_pb.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { instant, type OutputFormat, printLine, printMessage } from "./output.ts";

// What the commands about runs have in common: their options, payloads, and how a run is shown.

export interface Common {
  address: string;
  apiKey?: string;
  namespace: string;
  output: OutputFormat;
}

export function runCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .addOption(new Option("--address <url>", "server").env("EVERSTEP_ADDRESS").default("http://127.0.0.1:7420"))
    .addOption(new Option("--api-key <key>", "key to show").env("EVERSTEP_API_KEY"))
    .addOption(new Option("-n, --namespace <name>", "namespace").env("EVERSTEP_NAMESPACE").default("default"))
    .addOption(
      new Option("-o, --output <format>", "format of the answer").choices(["table", "json", "jsonl"]).default("table"),
    );
}

/** A payload from the command line: JSON, or a usage error. */
export function payload(text: string | undefined) {
  if (text === undefined) return undefined;
  try {
    JSON.parse(text);
  } catch (error) {
    throw new ExitError(
      exitCodes.usage,
      `the payload is no JSON: ${(error as Error).message}; a text is written as '"${text.slice(0, 20)}"'`,
    );
  }
  return create(PayloadSchema, { data: { case: "json", value: text } });
}

export function show(run: Run | undefined, format: OutputFormat): void {
  if (run === undefined) return;
  if (format !== "table") return printMessage(RunSchema, run, format);
  const rows: [string, string][] = [
    ["run", run.runId],
    ["workflow", run.workflow],
    ["queue", run.queue],
    ["status", statusName(run)],
    ["steps", String(run.stepsCompleted)],
    ["started", instant(run.startedAtMs)],
    ["closed", instant(run.closedAtMs)],
  ];
  if (run.runKey !== "") rows.push(["key", run.runKey]);
  if (run.workerId !== "") rows.push(["worker", run.workerId]);
  if (run.output !== undefined) rows.push(["output", payloadText(run.output)]);
  if (run.failure !== undefined) rows.push(["failure", `${run.failure.type}: ${run.failure.message}`]);
  for (const [name, value] of rows) printLine(`${name.padEnd(9)} ${value}`);
}

export function statusName(run: Run): string {
  return RunStatusSchema.value[run.status]?.localName ?? String(run.status);
}

function payloadText(value: NonNullable<Run["output"]>): string {
  return value.data.case === "json" ? value.data.value : `${value.data.value?.length ?? 0} bytes`;
}
