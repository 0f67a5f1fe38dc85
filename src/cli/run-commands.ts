import type { Command } from "commander";
import { uuidv7 } from "uuidv7";
import { type Run, RunSchema, RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { ExplainRunResponseSchema } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { runStatuses } from "../core/state.ts";
import { waitRunMsMax } from "../limits.ts";
import { connect } from "./connect.ts";
import { parseCount, parseDuration, parseInteger, parseWait } from "./duration.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { instant, printLine, printMessage, printTable } from "./output.ts";
import { addResume } from "./resume-command.ts";
import { type Common, payload, runCommand, show, statusName } from "./run-command.ts";
import { watchRun } from "./timeline.ts";

export function addRunCommands(program: Command): void {
  const run = program.command("run").description("start, look at and steer runs");
  addStart(run);
  addReading(run);
  addSteering(run);
}

function addStart(parent: Command): void {
  runCommand(parent, "start <workflow>", "start a run")
    .option("--input <json>", "input as JSON")
    .option("--run-id <id>", "id of the run; made when not given")
    .option("--run-key <key>", "at most one open run has it", "")
    .option("--queue <name>", "queue", "")
    .option("--priority <0-9>", "0 is most urgent", parseInteger)
    .option("--delay <duration>", "start later", parseDuration, 0)
    .option("--timeout <duration>", "fail the run when it takes longer", parseDuration, 0)
    .option("--wait <duration>", "wait for the result, an hour at most", parseWait)
    .action(async (workflow: string, options: Common & Record<string, never> & StartOptions) => {
      const client = connect(options);
      const runId = options.runId ?? uuidv7();
      const response = await client.startRun({
        namespace: options.namespace,
        workflow,
        runId,
        requestId: runId,
        runKey: options.runKey,
        queue: options.queue,
        startDelayMs: BigInt(options.delay),
        runTimeoutMs: BigInt(options.timeout),
        ...(options.priority === undefined ? {} : { priority: options.priority }),
        ...(options.input === undefined
          ? {}
          : { input: payload(options.input) as NonNullable<ReturnType<typeof payload>> }),
      });
      if (options.wait === undefined) return show(response.run, options.output);
      await waitForResult(options, runId, options.wait);
    });
}
interface StartOptions {
  input?: string;
  runId?: string;
  runKey: string;
  queue: string;
  priority?: number;
  delay: number;
  timeout: number;
  wait?: number;
}

async function waitForResult(options: Common, runId: string, timeoutMs: number): Promise<void> {
  const { run, timedOut } = await connect(options).waitRun({
    namespace: options.namespace,
    runId,
    timeoutMs: BigInt(timeoutMs),
  });
  show(run, options.output);
  if (timedOut) throw new ExitError(exitCodes.timeout, `run ${runId} is not closed yet`);
  if (run?.status !== RunStatus.COMPLETED) throw new ExitError(exitCodes.runFailed);
}

function addReading(parent: Command): void {
  runCommand(parent, "list", "list runs, newest first")
    .option("--workflow <name>", "only this workflow", "")
    .option("--queue <name>", "only this queue", "")
    .option("--status <name...>", "only these statuses")
    .option("--limit <n>", "how many", parseCount, 50)
    .action(async (options: Common & { workflow: string; queue: string; status?: string[]; limit: number }) => {
      const client = connect(options);
      const filter = {
        namespace: options.namespace,
        workflow: options.workflow,
        queue: options.queue,
        statuses: (options.status ?? []).map(parseStatus),
      };
      const runs: Run[] = [];
      let pageToken = "";
      do {
        const page = await client.listRuns({
          filter,
          pageSize: Math.min(1_000, options.limit - runs.length),
          pageToken,
        });
        runs.push(...page.runs);
        pageToken = page.nextPageToken;
      } while (pageToken !== "" && runs.length < options.limit);
      if (options.output !== "table") for (const run of runs) printMessage(RunSchema, run, "jsonl");
      else {
        const rows = runs.map((run) => [
          run.runId,
          run.workflow,
          statusName(run),
          String(run.stepsCompleted),
          instant(run.createdAtMs),
        ]);
        printTable(["RUN", "WORKFLOW", "STATUS", "STEPS", "CREATED"], rows);
      }
    });
  runCommand(parent, "show <run_id>", "show one run").action(async (runId: string, options: Common) => {
    const { run } = await connect(options).getRun({ namespace: options.namespace, runId });
    show(run, options.output);
  });
  runCommand(parent, "result <run_id>", "wait for the end; exit code 1 when it failed")
    .option("--timeout <duration>", "wait this long, an hour at most", parseWait, waitRunMsMax)
    .action((runId: string, options: Common & { timeout: number }) => waitForResult(options, runId, options.timeout));
  runCommand(parent, "watch <run_id>", "print the history as it grows").action((runId: string, options: Common) =>
    watchRun(connect(options), { namespace: options.namespace, runId }, options.output),
  );
  runCommand(parent, "explain <run_id>", "say what the run waits for").action(
    async (runId: string, options: Common) => {
      const response = await connect(options).explainRun({ namespace: options.namespace, runId });
      if (options.output !== "table") return printMessage(ExplainRunResponseSchema, response, options.output);
      printLine(response.text);
    },
  );
}

function parseStatus(name: string): RunStatus {
  const status = RunStatus[name.toUpperCase() as keyof typeof RunStatus];
  if (typeof status === "number") return status;
  throw new ExitError(exitCodes.usage, `${JSON.stringify(name)} is no status; there are ${runStatuses.join(", ")}`);
}

function addSteering(parent: Command): void {
  runCommand(parent, "signal <run_id> <name> [payload]", "send a signal; the payload is JSON").action(
    async (runId: string, name: string, text: string | undefined, options: Common) => {
      const value = payload(text);
      const request = { namespace: options.namespace, runId, name, requestId: uuidv7() };
      const { signalId } = await connect(options).signalRun(
        value === undefined ? request : { ...request, payload: value },
      );
      printLine(
        options.output === "table" ? `signal ${signalId} was received` : JSON.stringify({ signalId: String(signalId) }),
      );
    },
  );
  runCommand(parent, "cancel <run_id>", "ask the run to end; it may clean up within its grace")
    .option("--reason <text>", "kept in the history", "")
    .option("--grace <duration>", "time to clean up", parseDuration, 30_000)
    .action(async (runId: string, options: Common & { reason: string; grace: number }) => {
      const request = { namespace: options.namespace, runId, reason: options.reason, graceMs: BigInt(options.grace) };
      show((await connect(options).cancelRun(request)).run, options.output);
    });
  runCommand(parent, "terminate <run_id>", "end the run at once")
    .option("--reason <text>", "kept in the history", "")
    .action(async (runId: string, options: Common & { reason: string }) => {
      const request = { namespace: options.namespace, runId, reason: options.reason };
      show((await connect(options).terminateRun(request)).run, options.output);
    });
  runCommand(parent, "pause <run_id>", "set the run aside until it is resumed")
    .option("--reason <text>", "kept in the history", "")
    .option("--grace <duration>", "time for running steps to end", parseDuration, 30_000)
    .action(async (runId: string, options: Common & { reason: string; grace: number }) => {
      const request = { namespace: options.namespace, runId, reason: options.reason, graceMs: BigInt(options.grace) };
      show((await connect(options).pauseRun(request)).run, options.output);
    });
  addResume(parent);
  runCommand(parent, "retry <run_id>", "open a failed run again; only the failed steps run again")
    .option("--reason <text>", "kept in the history", "")
    .action(async (runId: string, options: Common & { reason: string }) => {
      const request = { namespace: options.namespace, runId, reason: options.reason, requestId: uuidv7() };
      show((await connect(options).retryRun(request)).run, options.output);
    });
}
