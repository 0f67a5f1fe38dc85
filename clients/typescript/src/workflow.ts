import type { WorkflowContext } from "./context.ts";
import { InvalidArgumentError } from "./errors.ts";

export type WorkflowFunction<Input, Output> = (ctx: WorkflowContext, input: Input) => Output | PromiseLike<Output>;

/** A named workflow: what a worker runs and a client starts. */
export interface Workflow<Input = unknown, Output = unknown> {
  readonly name: string;
  readonly run: WorkflowFunction<Input, Output>;
}

/** A workflow of any types. */
export type AnyWorkflow = Workflow<never, unknown>;

/**
 * Names a workflow function. The function may be run many times for one run, so everything that has an effect, takes
 * time or depends on chance belongs into `ctx.step`; what stands between the steps must be the same every time.
 */
export function workflow<Input, Output>(name: string, run: WorkflowFunction<Input, Output>): Workflow<Input, Output> {
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > 256) {
    throw new InvalidArgumentError("a workflow's name is a text of 1 to 256 bytes");
  }
  return { name, run };
}
