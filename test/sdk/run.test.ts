import { afterEach, describe, expect, test } from "vitest";
import {
  CancelledError,
  NonDeterminismError,
  NonRetryableError,
  StepFailedError,
} from "../../clients/typescript/src/errors.ts";
import { type AnyWorkflow, workflow } from "../../clients/typescript/src/workflow.ts";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import { type Answer, completed, entry, json, Peer, refused, turns } from "./peer.ts";

let peer: Peer;
afterEach(() => peer.worker.close());

async function run(flow: AnyWorkflow, more: Parameters<Peer["assign"]>[2] = {}, answer?: Answer): Promise<Peer> {
  peer = new Peer();
  await peer.start([flow]);
  if (answer !== undefined) {
    const ok = peer.answer;
    peer.answer = (op, index) => answer(op, index) ?? ok(op, index);
  }
  peer.assign(1, flow.name, more);
  await turns(20);
  return peer;
}

const output = (): unknown => {
  const data = peer.change("completeRun")?.output?.data;
  return data?.case === "json" ? JSON.parse(data.value) : undefined;
};

const planned =
  (delayMs: bigint): Answer =>
  (op) => {
    const failed = op.changes[0]?.change;
    if (failed?.case !== "failStep") return undefined as never;
    const { attempt } = failed.value;
    const outcome =
      attempt < 3
        ? ({ case: "retry", value: { nextAttempt: attempt + 1, delayMs } } as const)
        : ({ case: "exhausted", value: { attempt } } as const);
    return { case: "applied", value: { results: [{ index: 0, outcome }] } };
  };

describe("steps", () => {
  test("a recorded result is returned and the function is not called", async () => {
    let calls = 0;
    const flow = workflow("w", (ctx) => ctx.step("a", () => ++calls));
    await run(flow, { journal: [completed("a", 41)] });
    expect([calls, output()]).toEqual([0, 41]);
  });

  test("a start is sent only for a step that still runs when the frame is built", async () => {
    const flow = workflow("w", async (ctx) => {
      await ctx.step("quick", async () => 1);
      await ctx.step("slow", () => new Promise((resolve) => setTimeout(resolve, 20)));
    });
    await run(flow);
    await new Promise((resolve) => setTimeout(resolve, 40));
    await turns();
    expect(peer.changes()).toEqual(["completeStep:quick", "startStep:slow", "completeStep:slow", "completeRun"]);
  });

  test("at most once: the function waits for its start to be durable", async () => {
    let called = false;
    const flow = workflow("w", (ctx) => ctx.step("pay", () => (called = true), { atMostOnce: true }));
    await run(flow, {}, () => "drop");
    expect(peer.change("startStep")?.atMostOnce).toBe(true);
    expect(called).toBe(false);
  });

  test("a retry is waited out under the lease, then the step is exhausted", async () => {
    const attempts: number[] = [];
    const flow = workflow("w", (ctx) =>
      ctx.step("flaky", ({ attempt }) => {
        attempts.push(attempt);
        throw new TypeError("no");
      }),
    );
    await run(flow, {}, planned(1_000n));
    await peer.clock.advance(3_000);
    await turns();
    expect(attempts).toEqual([1, 2, 3]);
    expect(peer.change("failStep")?.failure?.type).toBe("TypeError");
    expect(peer.change("failRun")).toMatchObject({ failedSteps: ["flaky"], failure: { type: "StepFailed" } });
    expect(peer.change("failRun")?.failure?.cause?.type).toBe("TypeError");
    expect(peer.changes()).not.toContain("suspendRun");
  });

  test("a failed step may be caught", async () => {
    const flow = workflow("w", async (ctx) => {
      try {
        return await ctx.step("a", () => 1);
      } catch (error) {
        return error instanceof StepFailedError ? error.attempts : "other";
      }
    });
    const failed = entry("a", { case: "failed", value: { attempt: 4, failure: { type: "X", message: "m" } } });
    await run(flow, { journal: [failed] });
    expect(output()).toBe(4);
  });

  test("a long retry suspends, and a takeover goes on with the next attempt", async () => {
    const flow = workflow("w", (ctx) =>
      ctx.step("flaky", ({ attempt }) => {
        if (attempt === 1) throw new Error("no");
        return attempt;
      }),
    );
    await run(flow, {}, planned(60_000n));
    expect(peer.change("suspendRun")?.awaits.map(({ what }) => what)).toEqual([{ case: "retry", value: "flaky" }]);
    expect(peer.worker.health().held).toBe(0);
    peer.assign(2, "w", { journal: [entry("flaky", { case: "retrying", value: { attempt: 1, delayMs: 0n } })] });
    await turns(10);
    expect(output()).toBe(2);
  });

  test("a timeout aborts the function and fails the attempt", async () => {
    let signal: AbortSignal | undefined;
    const flow = workflow("w", (ctx) =>
      ctx.step(
        "slow",
        (attempt) => {
          signal = attempt.signal;
          return new Promise(() => {});
        },
        { timeoutMs: 500, retry: { maxAttempts: 1 } },
      ),
    );
    await run(flow);
    expect(peer.change("startStep")?.timeoutMs).toBe(1_500n);
    await peer.clock.advance(500);
    expect(signal?.aborted).toBe(true);
    expect(peer.change("failStep")?.failure?.type).toBe("StepTimeout");
  });

  test("a result that is too large fails the attempt for good", async () => {
    const flow = workflow("w", (ctx) => ctx.step("big", () => "x".repeat(300_000)));
    await run(flow);
    expect(peer.change("failStep")?.failure).toMatchObject({ type: "PayloadTooLarge", nonRetryable: true });
  });

  test("the input option is recorded with the start", async () => {
    const flow = workflow("w", (ctx) => ctx.step("a", () => 1, { input: { id: 3 } }));
    await run(flow);
    expect(peer.changes()).toEqual(["startStep:a", "completeStep:a", "completeRun"]);
    expect(peer.change("startStep")?.input?.data).toEqual({ case: "json", value: '{"id":3}' });
  });

  test("the history limit fails the run", async () => {
    const flow = workflow("w", (ctx) => ctx.step("a", () => 1).catch(() => 2));
    await run(flow, {}, (op) =>
      op.changes[0]?.change.case === "completeStep" ? refused(ErrorReason.HISTORY_LIMIT) : (undefined as never),
    );
    expect(peer.change("failRun")?.failure?.type).toBe("HistoryLimit");
  });
});

describe("replay", () => {
  test("repeated keys are numbered in call order", async () => {
    const flow = workflow("w", async (ctx) => {
      for (let step = 0; step < 3; step += 1) await ctx.step("a", () => step);
      return ctx.stepKeys;
    });
    await run(flow);
    expect(output()).toEqual(["a", "a#2", "a#3"]);
  });

  test("a repeated key in two branches is refused by name", async () => {
    const flow = workflow("w", (ctx) => Promise.all([ctx.step("a", () => 1), ctx.step("a", () => 2)]));
    await run(flow);
    expect(peer.change("failRun")?.failure?.type).toBe("AmbiguousStepKey");
  });

  test("another kind in the history fails the run, whatever the code catches", async () => {
    const flow = workflow("w", (ctx) => ctx.sleep("a", 10).catch(() => "swallowed"));
    await run(flow, { journal: [completed("a", 1)] });
    expect(peer.change("failRun")?.failure?.type).toBe("NonDeterminism");
    expect(new NonDeterminismError("a", "sleep", "step").reason).toBe("STEP_KIND_MISMATCH");
  });

  test("results come back in the recorded order: a race has the same winner", async () => {
    const flow = workflow("w", (ctx) =>
      Promise.race([ctx.step("a", () => "live"), ctx.step("b", () => "live")]).then(String),
    );
    await run(flow, { journal: [completed("b", "b"), completed("a", "a")] });
    expect(output()).toBe("b");
  });

  test("a journal in chunks starts the run when it is whole", async () => {
    const flow = workflow("w", async (ctx) => [await ctx.step("a", () => 0), await ctx.step("b", () => 0)]);
    await run(flow, { journal: [completed("a", 1)], journalContinues: true });
    expect(peer.changes()).toEqual([]);
    const leaseId = new Uint8Array(16).fill(1);
    peer.send({ case: "journalChunk", value: { leaseId, journal: [completed("b", 2)], continues: false } });
    await turns();
    expect(output()).toEqual([1, 2]);
  });
});

describe("waits", () => {
  const sleepy = workflow("w", async (ctx) => {
    await ctx.sleep("nap", 3_600_000);
    return "woke";
  });

  test("a long sleep sets a timer and suspends; replay goes on behind it", async () => {
    await run(sleepy);
    expect(peer.changes()).toEqual(["setTimer:nap", "suspendRun"]);
    expect(peer.change("suspendRun")?.noticesSeen).toBe(2n);
    expect(peer.clock.timers).toBe(3); // beat, watchdog, lease expiry: nothing of the run
    peer.assign(2, "w", { journal: [entry("nap", { case: "timerFired", value: {} })] });
    await turns(10);
    expect(output()).toBe("woke");
  });

  test("NOTICES_PENDING: the notice is worked off and the run goes on", async () => {
    await run(sleepy, {}, (op) =>
      op.changes[0]?.change.case === "suspendRun" ? refused(ErrorReason.NOTICES_PENDING) : (undefined as never),
    );
    expect(peer.worker.health().held).toBe(1);
    peer.notice(1, 5, { case: "timerFired", value: "nap" });
    await turns(10);
    expect(output()).toBe("woke");
    expect(Number(peer.ops().at(-1)?.afterRefused)).toBe(2);
  });

  test("a signal that is there is consumed, one that comes later too", async () => {
    const flow = workflow("w", async (ctx) => [await ctx.signal("go"), await ctx.signal("go"), ctx.stepKeys]);
    let count = 0;
    const consume: Answer = (op) => {
      if (op.changes[0]?.change.case !== "consumeSignal") return undefined as never;
      const value = { signalId: 3n, payload: json({ n: ++count }) };
      return { case: "applied", value: { results: [{ index: 0, outcome: { case: "signal", value } }] } };
    };
    await run(flow, { openSignals: [{ signalId: 2n, name: "go" }] }, (op, index) =>
      op.changes[0]?.change.case === "suspendRun" ? refused(ErrorReason.NOTICES_PENDING) : consume(op, index),
    );
    peer.notice(1, 6, { case: "signal", value: { signalId: 6n, name: "go" } });
    await turns(10);
    expect(output()).toEqual([{ n: 1 }, { n: 2 }, ["go", "go#2"]]);
  });

  test("a wait with a timeout is undefined when its timer fires", async () => {
    const flow = workflow("w", async (ctx) => (await ctx.signal("go", { timeoutMs: 500 })) ?? "timed out");
    await run(flow);
    expect(peer.change("setTimer")).toMatchObject({ stepKey: "go", signalName: "go", delayMs: 500n });
    peer.notice(1, 4, { case: "timerFired", value: "go" });
    await turns();
    expect(output()).toBe("timed out");
  });

  test("no suspend while another branch runs a step", async () => {
    const flow = workflow("w", (ctx) =>
      Promise.all([ctx.sleep("nap", 60_000), ctx.step("work", () => new Promise(() => {}))]),
    );
    await run(flow);
    expect(peer.changes()).toEqual(["setTimer:nap", "startStep:work"]);
  });
});

describe("cancel", () => {
  const cleanup = workflow("w", async (ctx) => {
    try {
      await ctx.step("a", () => 1);
      await ctx.sleep("nap", 500);
    } finally {
      await ctx.step("undo", ({ signal }) => signal.aborted);
    }
  });

  test("a wait ends, cleanup steps run, the run ends cancelled", async () => {
    await run(cleanup);
    peer.notice(1, 9, { case: "cancel", value: { reason: "enough", graceMs: 30_000n } });
    await turns(10);
    expect(peer.changes()).toEqual(["completeStep:a", "setTimer:nap", "completeStep:undo", "cancelledRun"]);
    expect(peer.change("completeStep")?.output?.data.value).toBe("false");
  });

  test("a cancel from before the grant counts behind what is recorded", async () => {
    const timer = entry("nap", { case: "timer", value: { delayMs: 400n } });
    await run(cleanup, { journal: [completed("a", 1), timer], cancelRequested: true });
    expect(peer.changes()).toEqual(["completeStep:undo", "cancelledRun"]);
  });

  test("the signals of the run and of a running step fire; an abort is no failed attempt", async () => {
    let reason: unknown;
    const flow = workflow("w", async (ctx) => {
      ctx.cancelSignal.addEventListener("abort", () => (reason = ctx.cancelSignal.reason));
      await ctx.step(
        "fetch",
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
          }),
      );
    });
    await run(flow);
    peer.notice(1, 9, { case: "cancel", value: {} });
    await turns(10);
    expect(reason).toBeInstanceOf(CancelledError);
    expect(peer.changes()).toEqual(["startStep:fetch", "cancelledRun"]);
  });

  test("pause: no new step, the lease is given back", async () => {
    let finish: () => void = () => {};
    const flow = workflow("w", async (ctx) => {
      await ctx.step("a", () => new Promise<void>((resolve) => (finish = resolve)));
      await ctx.step("b", () => 1);
    });
    await run(flow);
    peer.notice(1, 9, { case: "pause", value: {} });
    await turns();
    finish();
    await turns(10);
    expect(peer.changes()).toEqual(["startStep:a", "completeStep:a"]);
    expect(peer.kinds().at(-1)).toBe("release");
  });

  test("a non-retryable error says so", async () => {
    const flow = workflow("w", (ctx) =>
      ctx.step("a", () => {
        throw new NonRetryableError("declined", { type: "CardDeclined", details: { code: 5 } });
      }),
    );
    await run(flow);
    expect(peer.change("failStep")?.failure).toMatchObject({ type: "CardDeclined", nonRetryable: true });
  });
});
