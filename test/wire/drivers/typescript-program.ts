// The workflow `program`: its input says what it does.
import {
  EverstepError,
  type StepAttempt,
  type StepOptions,
  workflow,
  type Workflow,
  type WorkflowContext,
} from "../../../clients/typescript/src/index.ts";
import { type Fail, errorOf, toError } from "./typescript-errors.ts";
import type { Holds } from "./typescript-holds.ts";

export interface StepInstruction extends StepOptions {
  readonly op: "step";
  readonly key: string;
  readonly busyMs?: number;
  readonly hold?: boolean;
  readonly stubborn?: boolean;
  readonly fail?: Fail;
  readonly failAttempts?: number;
  readonly resultOf?: "attempt" | "fencingToken" | "idempotencyKey" | "runId" | "stepKey";
  readonly bytes?: number;
  readonly result?: unknown;
  /** Only for languages with two kinds of functions. */
  readonly plain?: boolean;
}

export type Instruction =
  | StepInstruction
  | { readonly op: "sleep"; readonly key: string; readonly ms: number }
  | { readonly op: "signal"; readonly name: string; readonly key?: string; readonly timeoutMs?: number }
  | { readonly op: "parallel"; readonly branches: readonly (readonly Instruction[])[] }
  | { readonly op: "loop"; readonly times: number; readonly do: readonly Instruction[] }
  | { readonly op: "catch"; readonly do: readonly Instruction[] }
  | ({ readonly op: "fail" } & Fail)
  | { readonly op: "value"; readonly value: unknown }
  | {
      readonly op: "fact";
      readonly of: "runId" | "runKey" | "namespace" | "workflow" | "fencingToken" | "stepKeys";
    };

export interface ProgramInput {
  readonly do: readonly Instruction[];
}

type Say = (fact: { readonly fact: string; readonly [field: string]: unknown }) => void;

export function programOf(holds: Holds, say: Say): Workflow<ProgramInput, unknown[]> {
  return workflow("program", async (ctx, input: ProgramInput) => {
    const run = ctx.runId;
    say({ fact: "begin", run, token: ctx.fencingToken });
    try {
      const values = await new Program(ctx, holds, say).all(input.do);
      say({ fact: "end", run, ok: true });
      return values;
    } catch (error) {
      say({ fact: "end", run, ok: false, error: errorOf(error) });
      throw error;
    }
  });
}

class Program {
  readonly #ctx: WorkflowContext;
  readonly #holds: Holds;
  readonly #say: Say;

  constructor(ctx: WorkflowContext, holds: Holds, say: Say) {
    this.#ctx = ctx;
    this.#holds = holds;
    this.#say = say;
  }

  async all(instructions: readonly Instruction[]): Promise<unknown[]> {
    const values: unknown[] = [];
    for (const instruction of instructions) values.push((await this.#one(instruction)) ?? null);
    return values;
  }

  async #one(instruction: Instruction): Promise<unknown> {
    switch (instruction.op) {
      case "step":
        return this.#step(instruction);
      case "sleep":
        return this.#ctx.sleep(instruction.key, instruction.ms);
      case "signal": {
        const { name, key, timeoutMs } = instruction;
        const value = await this.#ctx.signal(name, { key, timeoutMs });
        return value === undefined ? { timedOut: true } : value;
      }
      case "parallel": {
        const ends = await Promise.allSettled(instruction.branches.map((branch) => this.all(branch)));
        for (const end of ends) if (end.status === "rejected") throw end.reason;
        return ends.map((end) => (end as PromiseFulfilledResult<unknown[]>).value);
      }
      case "loop": {
        const rounds: unknown[] = [];
        for (let round = 0; round < instruction.times; round += 1) rounds.push(await this.all(instruction.do));
        return rounds;
      }
      case "catch":
        try {
          return { ok: await this.all(instruction.do) };
        } catch (error) {
          const caught = errorOf(error);
          this.#say({ fact: "caught", run: this.#ctx.runId, error: caught });
          return { caught };
        }
      case "fail":
        throw toError(instruction);
      case "value":
        return instruction.value;
      case "fact":
        return this.#ctx[instruction.of];
    }
  }

  #step(instruction: StepInstruction): Promise<unknown> {
    const { key, retry, timeoutMs, atMostOnce, input } = instruction;
    const options: StepOptions = { retry, timeoutMs, atMostOnce, input };
    return this.#ctx.step(key, (attempt) => this.#call(instruction, attempt), options);
  }

  #call(instruction: StepInstruction, attempt: StepAttempt): unknown {
    const { busyMs, hold, stubborn, fail, failAttempts, resultOf, bytes, result = null } = instruction;
    const { runId, stepKey, attempt: number, fencingToken, signal } = attempt;
    this.#say({ fact: "step", run: runId, key: stepKey, attempt: number, token: fencingToken });
    if (busyMs !== undefined) for (const end = performance.now() + busyMs; performance.now() < end; );
    if (hold) {
      return this.#holds.wait(runId, stepKey, result, signal, () => {
        const { reason } = signal;
        this.#say({
          fact: "aborted",
          run: runId,
          key: stepKey,
          reason: reason instanceof EverstepError ? reason.reason : String(reason),
        });
        return stubborn !== true;
      });
    }
    if (fail !== undefined && number <= (failAttempts ?? Number.POSITIVE_INFINITY)) throw toError(fail);
    if (resultOf !== undefined) return attempt[resultOf];
    if (bytes !== undefined) return "x".repeat(bytes - 2);
    return result;
  }
}
