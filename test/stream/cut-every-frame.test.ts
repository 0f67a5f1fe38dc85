import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client, Worker, workflow } from "../../clients/typescript/src/index.ts";
import { type Event, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseEndReason } from "../../gen/ts/everstep/v1/lease_pb.ts";
import {
  SessionRequestSchema,
  SessionResponseSchema,
  type WorkerFrame,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { MessageProxy, type PassingMessage } from "../support/message-proxy.ts";
import { ServerProcess } from "../support/server-process.ts";

// The stream is cut once in a run, after message N, for every N that a run has. Whatever is lost, the run completes,
// nothing happens twice, and a handler that had begun goes on instead of being started again.

const leaseTtlMs = 2_000;
const resumeGraceMs = leaseTtlMs / 2;
/** What an uncut run takes on a machine that does everything else at the same time. */
const loadMs = 6_000;
const abreast = 8;

let folder: string;
let server: ServerProcess;
let client: Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "everstep-cut-"));
  server = await ServerProcess.start({
    db: join(folder, "everstep.db"),
    args: ["--lease-ttl", `${leaseTtlMs}ms`],
  });
  client = new Client({ address: server.url });
});
afterAll(async () => {
  client?.close();
  await server?.signal("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

interface Carried {
  readonly events: Event[];
  readonly output: unknown;
  readonly frames: string[];
  readonly cut: boolean;
  /** How often the handler's first line ran. */
  readonly begun: number;
  /** How often each step's function ran. */
  readonly called: Map<string, number>;
}

/** One run on a queue of its own, by a worker behind a proxy of its own. */
async function carry(name: string, cutAfter: number): Promise<Carried> {
  const passed: PassingMessage[] = [];
  let cut = false;
  const proxy = await MessageProxy.start(server.url, {
    fateOf(message) {
      if (passed.push(message) !== cutAfter) return "pass";
      cut = true;
      return "cut";
    },
  });
  let begun = 0;
  const called = new Map<string, number>();
  const call = (key: string): string => {
    called.set(key, (called.get(key) ?? 0) + 1);
    return key;
  };
  const work = workflow("cut", async (ctx) => {
    begun += 1;
    const first = await ctx.step("first", () => call("first"));
    const unsteady = await ctx.step(
      "unsteady",
      (step) => {
        if (step.attempt === 1) throw new Error("the first attempt fails");
        return call("unsteady");
      },
      { retry: { initialDelayMs: 10 } },
    );
    const both = await Promise.all([
      ctx.step("left", () => call("left")),
      ctx.step("right", async () => call("right")),
    ]);
    await ctx.sleep("nap", 20);
    const word = await ctx.signal<string>("word");
    return [first, unsteady, ...both, await ctx.step("last", () => call("last")), word];
  });
  const worker = new Worker({ address: proxy.url, queues: [name], workflows: [work], log: () => {} }).start();
  try {
    const run = await client.start("cut", { runId: name, queue: name });
    const events: Event[] = [];
    for await (const event of client.watch(run.runId)) {
      events.push(event);
      // Only then: so every run suspends, and is granted a second time.
      if (event.type === EventType.RUN_SUSPENDED) await client.signal(run.runId, "word", "go");
    }
    const output = await client.result(run.runId);
    const frames = passed.map(({ from, message }) =>
      from === "client"
        ? `> ${nameOf(fromBinary(SessionRequestSchema, message).frame?.frame)}`
        : `< ${fromBinary(SessionResponseSchema, message).frame?.frame.case}`,
    );
    return { events, output, frames, cut, begun, called };
  } finally {
    worker.close();
    proxy.close();
  }
}

/** A suspend is told from other ops: behind it the run may come again, and that assignment may be the one that is lost. */
function nameOf(frame: WorkerFrame["frame"] | undefined): string {
  if (frame?.case !== "ops") return `${frame?.case}`;
  const changes = frame.value.ops.flatMap((op) => op.changes);
  return changes.some(({ change }) => change.case === "suspendRun") ? "ops with a suspend" : "ops";
}

function judge(carried: Carried, at: string): { grants: number; regranted: boolean } {
  const { events, output, begun, called } = carried;
  expect(output).toEqual(["first", "unsteady", "left", "right", "last", "go"]);
  const of = (type: EventType) => events.filter((event) => event.type === type);
  const isResult = new Set<EventType>([EventType.STEP_COMPLETED, EventType.TIMER_FIRED, EventType.SIGNAL_CONSUMED]);
  const results = events.filter(({ type }) => isResult.has(type)).map(({ stepKey }) => stepKey);
  expect(results.toSorted()).toEqual(["first", "last", "left", "nap", "right", "unsteady", "word"]);
  for (const [key, times] of called) expect(times, `calls of ${key}`).toBe(1);
  expect(Number(events.at(-1)!.atMs - events[0]!.atMs)).toBeLessThan(leaseTtlMs + resumeGraceMs + loadMs);

  const ends = of(EventType.LEASE_ENDED).map((event) => event.leaseEndReason);
  const suspends = ends.filter((reason) => reason === LeaseEndReason.SUSPENDED).length;
  expect(ends.filter((reason) => reason === LeaseEndReason.EXPIRED)).toEqual([]);
  const grants = of(EventType.LEASE_GRANTED).length;
  // The first line runs once, and once more behind each suspend: a cut alone starts no handler again. Unless it came so
  // close behind an assignment that the server had not heard yet that it left: it takes back what its worker has.
  const takenBack = at === "< assign" && grants === begun && begun === 2 + suspends;
  if (!takenBack) expect(begun).toBe(1 + suspends);
  // A grant that no handler saw is one whose assignment was lost on the way.
  expect(grants).toBe(ends.length);
  return { grants, regranted: grants > begun };
}

test("a run survives one cut of its stream, wherever it comes", { timeout: 120_000 }, async () => {
  const whole = await carry("uncut", 0);
  expect(judge(whole, "uncut").regranted).toBe(false);
  const last = whole.frames.length;
  expect(last).toBeGreaterThan(15);
  const outcomes: string[] = [];
  const cuts = Array.from({ length: last }, (_, index) => index + 1);
  async function carryNext(): Promise<void> {
    for (let n = cuts.shift(); n !== undefined; n = cuts.shift()) {
      const carried = await carry(`cut-${n}`, n);
      const at = carried.frames[n - 1] ?? "not reached";
      try {
        const { regranted } = judge(carried, at);
        const accepted = carried.frames.slice(0, n).includes("> accept");
        const suspended = carried.frames.slice(0, n).includes("> ops with a suspend");
        // Whoever had accepted was resumed; only an assignment that the cut swallowed is granted again.
        if (accepted && !suspended) expect(regranted).toBe(false);
        outcomes[n] = `${at}: ${carried.cut ? (regranted ? "granted again" : "resumed") : "not cut"}`;
      } catch (error) {
        throw new Error(`cut after message ${n} (${at}): ${carried.frames.join(" ")}`, { cause: error });
      }
    }
  }
  await Promise.all(Array.from({ length: abreast }, carryNext));
  const told = outcomes.flatMap((outcome, n) => (outcome === undefined ? [] : [`  ${n}  ${outcome}`]));
  console.log(`cut after each of ${last} messages:\n${told.join("\n")}`);
});
