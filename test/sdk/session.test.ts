import { afterEach, describe, expect, test } from "vitest";
import { LeaseLostError } from "../../clients/typescript/src/errors.ts";
import { workflow } from "../../clients/typescript/src/workflow.ts";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import { leaseIdOf, Peer, refused, turns } from "./peer.ts";

let peer: Peer;
afterEach(() => peer.worker.close());

const five = workflow("five", async (ctx) => {
  let sum = 0;
  for (let step = 1; step <= 5; step += 1) sum += await ctx.step(`s${step}`, () => step);
  return sum;
});

describe("session", () => {
  test("hello, beat, accept before ops, and a run to its end", async () => {
    peer = new Peer();
    await peer.start([five], { capacity: 7, queues: ["q"] });
    expect(peer.frames[0]?.frame).toMatchObject({
      case: "hello",
      value: { protocolVersion: 1, capacity: 7, queues: ["q"], workflows: ["five"], held: [] },
    });
    peer.assign(1, "five");
    await turns(20);
    expect(peer.kinds().slice(0, 4)).toEqual(["hello", "beat", "accept", "ops"]);
    expect(peer.changes()).toEqual([
      ...["s1", "s2", "s3", "s4", "s5"].map((key) => `completeStep:${key}`),
      "completeRun",
    ]);
    expect(peer.change("completeRun")?.output?.data).toEqual({ case: "json", value: "15" });
    expect(peer.worker.health()).toMatchObject({ connected: true, sessionState: "active", held: 0 });
  });

  test("the namespace of the environment is the default", async () => {
    process.env.EVERSTEP_NAMESPACE = "staging";
    try {
      peer = new Peer();
      await peer.start([five]);
    } finally {
      delete process.env.EVERSTEP_NAMESPACE;
    }
    expect(peer.frames[0]?.frame).toMatchObject({ case: "hello", value: { namespace: "staging" } });
  });

  test("ops of many runs leave in one frame", async () => {
    peer = new Peer();
    await peer.start([five]);
    for (let run = 1; run <= 50; run += 1) peer.assign(run, "five");
    await turns(20);
    expect(peer.ops()).toHaveLength(300);
    expect(peer.kinds().filter((kind) => kind === "ops")).toHaveLength(6);
    expect(peer.kinds().filter((kind) => kind === "accept")).toHaveLength(1);
  });

  test("a ping gets its pong, a workflow that is not here is released", async () => {
    peer = new Peer();
    await peer.start([five]);
    peer.send({ case: "ping", value: { nonce: 9n } });
    peer.assign(1, "other");
    await turns();
    expect(peer.frames.at(-2)?.frame).toMatchObject({ case: "pong", value: { nonce: 9n } });
    expect(peer.frames.at(-1)?.frame).toMatchObject({ case: "release", value: { retryAfterMs: 5_000n } });
  });

  test("after a cut hello lists what is held and ops without a result are sent again in order", async () => {
    peer = new Peer();
    peer.answer = () => "drop";
    await peer.start([five]);
    peer.assign(1, "five");
    await turns();
    expect(peer.changes()).toEqual(["completeStep:s1"]);
    peer.cut();
    expect(peer.worker.health()).toMatchObject({ connected: false, sessionState: "waiting", held: 1 });
    peer.answer = new Peer().answer;
    peer.frames.length = 0;
    await peer.clock.advance(200);
    await turns(20);
    const hello = peer.frames[0]?.frame;
    expect(hello).toMatchObject({
      case: "hello",
      value: { resume: { sessionId: "session-1" }, held: [{ noticesSeen: 2n, lease: { runId: "run-1", epoch: 7n } }] },
    });
    expect(peer.changes()[0]).toBe("completeStep:s1");
    expect(peer.ops()[0]?.opId).toBe(1n);
    expect(peer.changes().at(-1)).toBe("completeRun");
  });

  test("a verdict of lost aborts the handler, and nothing more is sent for it", async () => {
    peer = new Peer();
    let signal: AbortSignal | undefined;
    const hanging = workflow("hanging", (ctx) =>
      ctx.step("hang", (attempt) => {
        signal = attempt.signal;
        return new Promise(() => {});
      }),
    );
    await peer.start([hanging]);
    peer.assign(1, "hanging");
    await turns();
    expect(peer.changes()).toEqual(["startStep:hang"]);
    peer.kept = () => false;
    peer.cut();
    await peer.clock.advance(200);
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBeInstanceOf(LeaseLostError);
    expect(peer.worker.health().held).toBe(0);
    expect(peer.changes()).toEqual(["startStep:hang"]);
  });

  test("silence: the watchdog opens a new stream, and an unconfirmed lease is given up at 5/6 TTL", async () => {
    peer = new Peer();
    let signal: AbortSignal | undefined;
    const hanging = workflow("hanging", (ctx) =>
      ctx.step("hang", (attempt) => {
        signal = attempt.signal;
        return new Promise(() => {});
      }),
    );
    await peer.start([hanging]);
    peer.assign(1, "hanging");
    await turns();
    peer.send = () => {}; // the server says nothing any more
    await peer.clock.advance(24_000);
    expect(peer.streams).toBe(1);
    expect(signal?.aborted).toBe(false);
    await peer.clock.advance(2_000);
    expect(signal?.aborted).toBe(true);
    await peer.clock.advance(40_000);
    expect(peer.streams).toBeGreaterThan(2);
  });

  test("go away: comes back after the named time and a part of the jitter", async () => {
    peer = new Peer();
    await peer.start([five]);
    peer.send({ case: "goAway", value: { reconnectAfterMs: 4_000n, jitterMs: 2_000n } });
    peer.cut();
    await peer.clock.advance(4_900);
    expect(peer.streams).toBe(1);
    await peer.clock.advance(200);
    expect(peer.streams).toBe(2);
  });

  test("revoke and LEASE_LOST end the handler", async () => {
    peer = new Peer();
    await peer.start([five]);
    peer.answer = () => refused(ErrorReason.LEASE_LOST, { leaseLost: true });
    peer.assign(1, "five");
    await turns(10);
    expect(peer.changes()).toEqual(["completeStep:s1"]);
    expect(peer.worker.health().held).toBe(0);
    peer.answer = () => "drop";
    peer.assign(2, "five");
    await turns();
    peer.send({ case: "revoke", value: { leases: [{ leaseId: leaseIdOf(2) }] } });
    expect(peer.worker.health().held).toBe(0);
  });

  test("a busy server: later ops wait, and the first new one acknowledges the refusal", async () => {
    peer = new Peer();
    const parallel = workflow("parallel", (ctx) =>
      Promise.all([ctx.step("a", () => 1), ctx.step("b", () => 2)]).then(([a, b]) => a + b),
    );
    await peer.start([parallel]);
    const ok = peer.answer;
    let first = true;
    peer.answer = (op, index) => {
      if (!first) return ok(op, index);
      if (index === 1) first = false;
      return refused(index === 0 ? ErrorReason.BUSY : ErrorReason.PRECEDING_FAILED, { retryable: true });
    };
    peer.assign(1, "parallel");
    await turns();
    await peer.clock.advance(6_000);
    await turns(10);
    const sent = peer.ops().map((op) => [Number(op.opId), Number(op.afterRefused)]);
    expect(sent).toEqual([
      [1, 0],
      [2, 0],
      [1, 0],
      [2, 1],
      [3, 0],
    ]);
    expect(peer.changes().at(-1)).toBe("completeRun");
  });

  test("many ops that a busy server refuses together are one reason to wait, not many", async () => {
    peer = new Peer();
    const wide = workflow("wide", (ctx) =>
      Promise.all(Array.from({ length: 20 }, (_, at) => ctx.step(`s${at}`, () => at))),
    );
    await peer.start([wide]);
    const ok = peer.answer;
    let refusals = 0;
    peer.answer = (op, index) => (refusals++ < 20 ? refused(ErrorReason.BUSY, { retryable: true }) : ok(op, index));
    peer.assign(1, "wide");
    await turns();
    await peer.clock.advance(100);
    await turns(10);
    expect(peer.changes().at(-1)).toBe("completeRun");
  });

  test("drain: running steps finish, no new one begins, the run is released, goodbye is last", async () => {
    peer = new Peer();
    let finish: (value: number) => void = () => {};
    const slow = workflow("slow", async (ctx) => {
      await ctx.step("one", () => new Promise<number>((resolve) => (finish = resolve)));
      await ctx.step("two", () => 2);
    });
    await peer.start([slow]);
    peer.assign(1, "slow");
    await turns();
    const drained = peer.worker.drain();
    await turns();
    expect(peer.kinds()).toContain("drain");
    expect(peer.worker.health()).toMatchObject({ held: 1, sessionState: "draining" });
    finish(1);
    await drained;
    expect(peer.changes()).toEqual(["startStep:one", "completeStep:one"]);
    expect(peer.kinds().slice(-2)).toEqual(["release", "goodbye"]);
    expect(peer.clock.timers).toBe(0);
  });

  test("drain: a step that does not end is aborted when the time is over", async () => {
    peer = new Peer();
    let signal: AbortSignal | undefined;
    const hanging = workflow("hanging", (ctx) =>
      ctx.step("hang", (attempt) => {
        signal = attempt.signal;
        return new Promise(() => {});
      }),
    );
    await peer.start([hanging]);
    peer.assign(1, "hanging");
    await turns();
    const drained = peer.worker.drain(3_000);
    await peer.clock.advance(3_000);
    await drained;
    expect(signal?.aborted).toBe(true);
    expect(peer.kinds().slice(-2)).toEqual(["release", "goodbye"]);
  });
});
