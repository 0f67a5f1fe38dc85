import type { Engine, EngineStatus, RunView, SessionHandle, StreamSink } from "../../src/engine/api.ts";
import type { ServerFrame } from "../../src/engine/frames.ts";
import { createCounters } from "../../src/engine/telemetry.ts";

// An engine that does what a test tells it, for the wire's own behaviour.

export const idleStatus: EngineStatus = {
  writer: "open",
  draining: false,
  sessions: 1,
  leases: 2,
  mailbox: 3,
  clockAheadMs: 0,
  counters: { ...createCounters(), commits: 7 },
};

export function fakeEngine(parts: Partial<Engine> = {}): Engine {
  const engine: Partial<Engine> = {
    settings: { leaseTtlMs: 30_000, payloadBytesMax: 4 * 1024 * 1024 },
    status: () => idleStatus,
    fileBytes: () => ({ databaseBytes: 4_096, walBytes: 0 }),
    ...parts,
  };
  return new Proxy(engine as Engine, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name);
      throw new Error(`the fake engine has no ${String(name)}`);
    },
  });
}

export const someRun: RunView = {
  runNo: 1,
  namespace: "default",
  runId: "run-1",
  workflow: "order",
  queue: "default",
  runKey: "",
  status: "FAILED",
  pauseReason: undefined,
  cancelRequested: false,
  input: { data: '{"a":1}', encoding: "" },
  output: { data: new Uint8Array([1, 2]), encoding: "zstd" },
  failure: { type: "Boom", message: "it broke", stack: "at x", cause: { type: "Root", message: "deep" } },
  priority: 5,
  version: 3,
  stepsCompleted: 2,
  lastSeq: 9,
  epoch: 1,
  workerId: "w",
  createdAtMs: 1_700_000_000_000,
  updatedAtMs: 1_700_000_000_001,
  startedAtMs: 1_700_000_000_002,
  closedAtMs: 1_700_000_000_003,
  availableAtMs: 0,
  timeoutAtMs: 0,
};

/** An engine's end of one stream that writes down its calls and gives what the test pushes. */
export function fakeSession() {
  const calls: { name: string; args: unknown[] }[] = [];
  let sink: StreamSink | undefined;
  let frames: ServerFrame[] = [];
  const record =
    (name: string) =>
    (...args: unknown[]) => {
      calls.push({ name, args });
    };
  const names = ["hello", "capacity", "accept", "release", "op", "invalidOp", "beat", "drain", "goodbye", "pong"];
  const handle = Object.fromEntries(
    [...names, "invalidFrame", "halfClosed", "closed"].map((name) => [name, record(name)]),
  );
  const openSession = (given: StreamSink): SessionHandle => {
    sink = given;
    const take = () => {
      const taken = frames;
      frames = [];
      return taken;
    };
    return { ...handle, take } as unknown as SessionHandle;
  };
  return {
    calls,
    openSession,
    handle: handle as unknown as SessionHandle,
    push(...more: ServerFrame[]) {
      frames.push(...more);
      sink?.wake();
    },
    end: () => sink?.end(),
    called: (name: string) => calls.filter((call) => call.name === name),
  };
}
