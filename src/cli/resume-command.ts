import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { PayloadSchema } from "../../gen/ts/everstep/v1/payload_pb.ts";
import { ResolutionSchema } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { connect } from "./connect.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { type Common, payload, runCommand, show } from "./run-command.ts";

/** A run that was paused inside an at-most-once step asks what became of it. */
export function addResume(parent: Command): void {
  runCommand(parent, "resume <run_id>", "let a paused run go on")
    .addOption(
      new Option("--resolution <what>", "what became of an at-most-once step").choices(["repeat", "complete", "fail"]),
    )
    .option("--step-output <json>", "its output, with --resolution complete")
    .option("--failure <text>", "why it failed, with --resolution fail")
    .action(async (runId: string, options: Common & ResumeOptions) => {
      const ref = { namespace: options.namespace, runId };
      const resolution = resolutionOf(options);
      const request = resolution === undefined ? ref : { ...ref, resolution };
      show((await connect(options).resumeRun(request)).run, options.output);
    });
}
interface ResumeOptions {
  resolution?: "repeat" | "complete" | "fail";
  stepOutput?: string;
  failure?: string;
}

function resolutionOf({ resolution, stepOutput, failure }: ResumeOptions) {
  if (stepOutput !== undefined && resolution !== "complete") {
    throw new ExitError(exitCodes.usage, "--step-output belongs to --resolution complete");
  }
  if (failure !== undefined && resolution !== "fail") {
    throw new ExitError(exitCodes.usage, "--failure belongs to --resolution fail");
  }
  switch (resolution) {
    case undefined:
      return undefined;
    case "repeat":
      return create(ResolutionSchema, { verdict: { case: "repeat", value: {} } });
    case "complete": {
      const output = payload(stepOutput);
      return create(ResolutionSchema, {
        verdict: { case: "complete", value: output ?? create(PayloadSchema) },
      });
    }
    case "fail":
      return create(ResolutionSchema, {
        verdict: { case: "fail", value: { type: "ResolvedByHand", message: failure ?? "" } },
      });
  }
}
