import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type StepAttempt, workflow } from "../../clients/typescript/src/index.ts";

export interface Order {
  readonly item: string;
  readonly amount: number;
}
interface Approval {
  readonly by: string;
}

/** What really happened outside: one line for each call of a step function. The example's end reads it back. */
function note(step: StepAttempt): void {
  const ledger = process.env.ORDER_LEDGER;
  if (ledger !== undefined) appendFileSync(ledger, `${step.stepKey} attempt ${step.attempt} pid ${process.pid}\n`);
}

export const order = workflow("order", async (ctx, input: Order) => {
  const charge = await ctx.step(
    "charge",
    (step) => {
      note(step);
      if (step.attempt <= 2) throw new Error(`payment service is not available (attempt ${step.attempt})`);
      return { paid: input.amount };
    },
    { retry: { initialDelayMs: 200, maxAttempts: 5 } },
  );
  await ctx.step("pack", async (step) => {
    note(step);
    await pause(1_500, undefined, { signal: step.signal });
    return { packed: input.item };
  });
  await ctx.sleep("cool-down", 1_000);
  const approval = await ctx.signal<Approval>("approval", { timeoutMs: 86_400_000 });
  if (approval === undefined) return { cancelled: "nobody approved" };
  const [label, mail] = await Promise.all([
    ctx.step("label", (step) => {
      note(step);
      return `label for ${input.item}`;
    }),
    ctx.step("mail", (step) => {
      note(step);
      return `mail, approved by ${approval.by}`;
    }),
  ]);
  return { charge, label, mail };
});

/** Small enough to have it in every language: see go-worker. */
export const parcel = workflow("parcel", (ctx, input: { readonly number: number }) =>
  ctx.step("weigh", async () => {
    await pause(100);
    return { grams: 100 * input.number, language: "TypeScript" };
  }),
);
