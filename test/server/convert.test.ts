import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { eventTypes, type RunEvent } from "../../src/core/event.ts";
import { newEvent } from "../../src/core/decision.ts";
import { errorReasons, refuse } from "../../src/core/errors.ts";
import type { JournalEntry, Notice, ServerFrame } from "../../src/engine/frames.ts";
import { assignmentTo, journalEntryTo, noticeTo } from "../../src/server/convert/assignment.ts";
import { changeFrom } from "../../src/server/convert/change.ts";
import { eventTo } from "../../src/server/convert/event.ts";
import { failureFrom, failureTo } from "../../src/server/convert/failure.ts";
import { helloFrom } from "../../src/server/convert/hello.ts";
import { leaseFrom, leaseTo } from "../../src/server/convert/lease.ts";
import { opResultTo } from "../../src/server/convert/op-result.ts";
import { payloadFrom, payloadTo } from "../../src/server/convert/payload.ts";
import { runSummaryTo, runTo } from "../../src/server/convert/run.ts";
import { sessionResponses } from "../../src/server/convert/server-frame.ts";
import { ChangeSchema, OpResultSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { EventSchema, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import { FailureSchema } from "../../gen/ts/everstep/v1/failure_pb.ts";
import { LeaseSchema } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { PayloadSchema } from "../../gen/ts/everstep/v1/payload_pb.ts";
import { BackoffKind } from "../../gen/ts/everstep/v1/retry_policy_pb.ts";
import { RunSchema, RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import {
  AssignmentSchema,
  HelloSchema,
  JournalEntrySchema,
  NoticeSchema,
  SessionResponseSchema,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { someRun } from "./fake-engine.ts";

const leaseId = "00112233445566778899aabbccddeeff";
const json = (value: string) => ({ data: { case: "json" as const, value } });

/** What a peer reads of a message that we wrote. */
function overTheWire<T extends Parameters<typeof toBinary>[0]>(schema: T, message: Parameters<typeof toBinary<T>>[1]) {
  return fromBinary(schema, toBinary(schema, message));
}

describe("changes", () => {
  type Init = NonNullable<MessageInitShape<typeof ChangeSchema>["change"]>;
  const cases: [Init, object][] = [
    [
      {
        case: "startStep",
        value: {
          stepKey: "a",
          attempt: 2,
          atMostOnce: true,
          timeoutMs: 5n,
          input: json("1"),
          retryPolicy: { factor: 3 },
        },
      },
      {
        type: "StartStep",
        stepKey: "a",
        attempt: 2,
        atMostOnce: true,
        timeoutMs: 5,
        input: { data: "1", encoding: "" },
        retryPolicy: { factor: 3 },
      },
    ],
    [
      { case: "completeStep", value: { stepKey: "__proto__", output: json('"x"'), attempt: 1, elapsedMs: 7n } },
      { type: "CompleteStep", stepKey: "__proto__", output: { data: '"x"', encoding: "" }, attempt: 1, elapsedMs: 7 },
    ],
    [
      {
        case: "failStep",
        value: {
          stepKey: "../x",
          failure: {
            type: "T",
            message: "m",
            cause: { type: "C", message: "c" },
            nonRetryable: true,
            retryAfterMs: 3n,
          },
          retryPolicy: {
            backoff: BackoffKind.LISTED,
            delaysMs: [1n, 2n],
            maxAttempts: 0,
            initialDelayMs: 0n,
            maxDelayMs: 9n,
            jitter: 0.5,
            maxElapsedMs: 10n,
            nonRetryableTypes: ["N"],
          },
        },
      },
      {
        type: "FailStep",
        stepKey: "../x",
        attempt: 0,
        elapsedMs: 0,
        failure: { type: "T", message: "m", cause: { type: "C", message: "c" }, nonRetryable: true, retryAfterMs: 3 },
        retryPolicy: {
          backoff: "listed",
          delaysMs: [1, 2],
          maxAttempts: 0,
          initialDelayMs: 0,
          maxDelayMs: 9,
          jitter: 0.5,
          maxElapsedMs: 10,
          nonRetryableTypes: ["N"],
        },
      },
    ],
    [
      { case: "setTimer", value: { stepKey: "🕰", delayMs: 10n, signalName: "go" } },
      { type: "SetTimer", stepKey: "🕰", delayMs: 10, signalName: "go" },
    ],
    [
      { case: "cancelTimer", value: { stepKey: "3" } },
      { type: "CancelTimer", stepKey: "3" },
    ],
    [
      { case: "consumeSignal", value: { stepKey: "w", name: "go" } },
      { type: "ConsumeSignal", stepKey: "w", name: "go" },
    ],
    [
      {
        case: "suspendRun",
        value: {
          awaits: [
            { what: { case: "timer", value: "t" } },
            { what: { case: "signal", value: "s" } },
            { what: { case: "signal", value: "s" }, stepKey: "w" },
            { what: { case: "retry", value: "r" } },
          ],
          noticesSeen: 4n,
        },
      },
      {
        type: "SuspendRun",
        awaits: [
          { kind: "timer", stepKey: "t" },
          { kind: "signal", name: "s" },
          { kind: "signal", name: "s", stepKey: "w" },
          { kind: "retry", stepKey: "r" },
        ],
        noticesSeen: 4,
      },
    ],
    [
      {
        case: "completeRun",
        value: { output: { data: { case: "bytes", value: new Uint8Array([7]) }, encoding: "z" } },
      },
      { type: "CompleteRun", output: { data: new Uint8Array([7]), encoding: "z" } },
    ],
    [
      { case: "failRun", value: { failure: { type: "T", message: "m" }, failedSteps: ["a", "b"] } },
      { type: "FailRun", failure: { type: "T", message: "m" }, failedSteps: ["a", "b"] },
    ],
    [{ case: "cancelledRun", value: {} }, { type: "CancelledRun" }],
  ];
  for (const [change, expected] of cases) {
    test(`${change.case} arrives whole`, () => {
      const wire = overTheWire(ChangeSchema, create(ChangeSchema, { change }));
      expect(changeFrom(wire, 1_000)).toEqual(expected);
    });
  }
  test("every kind of the schema is covered", () => {
    expect(cases.map(([change]) => change.case).sort()).toEqual(
      ChangeSchema.oneofs[0]?.fields.map((field) => field.localName).sort(),
    );
  });
  test("an unknown kind is refused", () => {
    expect(() => changeFrom(create(ChangeSchema), 1_000)).toThrow(/INVALID: change is not set/);
  });
});

describe("payloads, failures and leases", () => {
  test("a value, null and no value stay apart", () => {
    const wire = (init: MessageInitShape<typeof PayloadSchema>) => create(PayloadSchema, init);
    expect(payloadFrom("input", undefined, 10)).toBeUndefined();
    expect(payloadFrom("input", wire({}), 10)).toBeUndefined();
    expect(payloadFrom("input", wire(json("null")), 10)).toEqual({ data: "null", encoding: "" });
    const empty = wire({ data: { case: "bytes", value: new Uint8Array() } });
    expect(payloadFrom("input", empty, 10)).toEqual({ data: new Uint8Array(), encoding: "" });
    expect(payloadTo(undefined)).toBeUndefined();
  });
  test("json keeps its bytes", () => {
    const text = ' { "b" : 1.50, "a": "\\u0041", "a": 2 } ';
    expect(payloadFrom("input", create(PayloadSchema, json(text)), 100)?.data).toBe(text);
  });
  test("bytes do not hold on to the frame that they came in", () => {
    const frame = new Uint8Array(1_000);
    const wire = create(PayloadSchema, { data: { case: "bytes", value: frame.subarray(10, 20) } });
    const data = payloadFrom("input", wire, 100)?.data as Uint8Array;
    expect(data.buffer.byteLength).toBe(10);
  });
  test("a failure comes back as it went", () => {
    const failure = {
      type: "T",
      message: "m",
      stack: "s",
      details: { data: "{}", encoding: "e" },
      cause: { type: "C", message: "c", cause: { type: "D", message: "" } },
      nonRetryable: true,
      retryAfterMs: 5,
    };
    const wire = overTheWire(FailureSchema, failureTo(failure) as never);
    expect(failureFrom("failure", wire, 100)).toEqual(failure);
  });
  test("a lease id is 16 bytes outside and 32 digits inside", () => {
    const lease = { runId: "r", leaseId, epoch: 3 };
    const wire = overTheWire(LeaseSchema, leaseTo(lease));
    expect(wire.leaseId.length).toBe(16);
    expect(leaseFrom("lease", wire)).toEqual(lease);
  });
});

describe("runs and events", () => {
  test("a run, and its summary without payloads", () => {
    const wire = overTheWire(RunSchema, runTo(someRun));
    expect(wire).toMatchObject({
      runId: "run-1",
      status: RunStatus.FAILED,
      createdAtMs: 1_700_000_000_000n,
      lastSeq: 9n,
    });
    expect(wire.input?.data).toEqual({ case: "json", value: '{"a":1}' });
    expect(wire.failure?.cause?.type).toBe("Root");
    const summary = runSummaryTo(someRun);
    expect(summary).toMatchObject({
      input: undefined,
      output: undefined,
      failure: { type: "Boom", message: "it broke" },
    });
  });

  const details: { [T in keyof typeof eventTypes]: Extract<RunEvent, { type: T }>["detail"] } = {
    RunCreated: { workflow: "w", queue: "q" },
    LeaseGranted: { leaseId, ttlMs: 30_000, workerId: "worker", instanceId: "instance", requestId: "req" },
    LeaseExtended: { ttlMs: 60_000 },
    LeaseEnded: { reason: "EXPIRED" },
    StepStarted: { attempt: 2 },
    StepAttemptFailed: { attempt: 2, failure: { type: "T", message: "m" }, retryAtMs: 99 },
    StepCompleted: undefined,
    StepFailed: { attempt: 3, failure: { type: "T", message: "m" } },
    TimerSet: { firesAtMs: 50, signalName: "go" },
    TimerFired: undefined,
    TimerCancelled: undefined,
    SignalReceived: { name: "go" },
    SignalConsumed: { signalSeq: 4, name: "go" },
    RunSuspended: { awaits: [{ kind: "signal", name: "go" }] },
    RetryDue: undefined,
    CancelRequested: { reason: "why", graceMs: 1, deadlineAtMs: 60 },
    CancelDelivered: { deadlineAtMs: 61 },
    PauseRequested: { reason: "why", deadlineAtMs: 62 },
    RunPaused: { reason: "UNCERTAIN_EFFECT", text: "step a" },
    RunResumed: undefined,
    RunCompleted: undefined,
    RunFailed: { failure: { type: "T", message: "m" }, failedSteps: ["a"] },
    RunCancelled: { reason: "why" },
    RunTerminated: { reason: "why" },
    SignalReserved: { signalSeq: 2, name: "go" },
    RunReopened: { voidedSteps: ["a"], reason: "why" },
  };
  for (const type of Object.keys(eventTypes) as (keyof typeof eventTypes)[]) {
    test(`${type} has its type and tells no lease id`, () => {
      const event = newEvent(type, 5, 1_000, details[type] as never, { epoch: 1, opId: 2, stepKey: "k" });
      const wire = overTheWire(EventSchema, eventTo(event));
      const name = type.replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase();
      expect(wire.type).toBe(EventType[name as keyof typeof EventType]);
      expect(wire.type).toBe(eventTypes[type]);
      expect(wire).toMatchObject({ seq: 5n, atMs: 1_000n, epoch: 1n, opId: 2n, stepKey: "k" });
      const text = JSON.stringify(wire, (_key, value) => (typeof value === "bigint" ? Number(value) : value));
      expect(text).not.toContain(leaseId);
      expect(Buffer.from(toBinary(EventSchema, wire)).toString("latin1")).not.toContain(
        Buffer.from(leaseId, "hex").toString("latin1"),
      );
    });
  }
});

describe("what a worker gets", () => {
  const payload = { data: "1", encoding: "" };
  const failure = { type: "T", message: "m" };
  const entries: JournalEntry[] = [
    { stepKey: "a", kind: "completed", output: payload },
    { stepKey: "b", kind: "failed", failure, attempt: 4 },
    { stepKey: "c", kind: "retrying", failure, attempt: 1, delayMs: 5, elapsedMs: 6 },
    { stepKey: "d", kind: "started", attempt: 1 },
    { stepKey: "e", kind: "timer", delayMs: 9, signalName: "go" },
    { stepKey: "f", kind: "timerFired", signalName: "" },
    { stepKey: "g", kind: "timerCancelled", signalName: "go" },
    { stepKey: "h", kind: "signal", signalSeq: 3, name: "go", payload },
  ];
  test("an assignment with every kind of journal entry", () => {
    const signal = { seq: 8, name: "go", payload, receivedAtMs: 1 };
    const wire = overTheWire(
      AssignmentSchema,
      assignmentTo({
        lease: { runId: "r", leaseId, epoch: 2 },
        namespace: "n",
        workflow: "w",
        queue: "q",
        runKey: "k",
        input: payload,
        leaseTtlMs: 30_000,
        journal: entries,
        journalContinues: true,
        openSignals: [signal],
        journalThrough: 9,
        cancelRequested: true,
        deliveries: 2,
        createdAtMs: 1_000,
      }),
    );
    expect(wire.journal.map((entry) => entry.entry.case)).toEqual(entries.map((entry) => entry.kind));
    expect(entries.map((entry) => entry.kind).sort()).toEqual(
      JournalEntrySchema.oneofs[0]?.fields.map((field) => field.localName).sort(),
    );
    expect(wire.journal[2]?.entry.value).toMatchObject({ attempt: 1, delayMs: 5n, elapsedMs: 6n });
    expect(wire).toMatchObject({ namespace: "n", queue: "q", runKey: "k", journalThrough: 9n, deliveries: 2 });
    expect(wire.openSignals[0]).toMatchObject({ signalId: 8n, name: "go", consumedBy: "" });
    expect(journalEntryTo(entries[0] as JournalEntry).stepKey).toBe("a");
  });
  const notices: Notice["what"][] = [
    { kind: "cancel", reason: "why", graceMs: 5 },
    { kind: "signal", signal: { seq: 8, name: "go", payload, receivedAtMs: 1 } },
    { kind: "timerFired", stepKey: "t" },
    { kind: "pause", graceMs: 6 },
    { kind: "retryDue", stepKey: "r" },
  ];
  test("every kind of notice", () => {
    const wire = notices.map((what) => overTheWire(NoticeSchema, noticeTo({ leaseId, seq: 7, what })));
    expect(wire.map(({ what }) => what.case)).toEqual(NoticeSchema.oneofs[0]?.fields.map((field) => field.localName));
    expect(wire[0]).toMatchObject({ seq: 7n, what: { value: { reason: "why", graceMs: 5n } } });
  });
  test("results of changes carry delays, never instants", () => {
    const wire = overTheWire(
      OpResultSchema,
      opResultTo({
        opId: 3,
        leaseId,
        outcome: {
          kind: "applied",
          already: true,
          lastSeq: 12,
          nowMs: 1_000,
          queued: false,
          notes: [
            { kind: "retry", index: 0, nextAttempt: 2, retryAtMs: 1_250 },
            { kind: "exhausted", index: 1, attempt: 4 },
            { kind: "signal", index: 2, signalSeq: 5, payload },
            { kind: "stored", index: 3, output: undefined },
            { kind: "timer", index: 4, firesAtMs: 900 },
          ],
        },
      }),
    );
    if (wire.result.case !== "applied") throw new Error("not applied");
    expect(wire.result.value).toMatchObject({ alreadyApplied: true, lastSeq: 12n });
    const outcomes = wire.result.value.results.map(({ outcome }) => outcome);
    expect(outcomes.map((outcome) => outcome.case)).toEqual(["retry", "exhausted", "signal", "storedOutput", "timer"]);
    expect(outcomes[0]?.value).toMatchObject({ nextAttempt: 2, delayMs: 250n });
    expect(outcomes[4]?.value).toMatchObject({ delayMs: 0n });
  });
  test("every reason has its number on the wire", () => {
    for (const reason of errorReasons) {
      const wire = opResultTo({ opId: 1, leaseId, outcome: refuse(reason, "no", { retryAfterMs: 1.5 }) });
      expect(wire.result).toMatchObject({ case: "refused", value: { reason: ErrorReason[reason], retryAfterMs: 2n } });
      expect(ErrorReason[reason]).toBeGreaterThan(0);
    }
  });
});

describe("frames of the server", () => {
  const assignment = {
    lease: { runId: "r", leaseId, epoch: 1 },
    namespace: "n",
    workflow: "w",
    queue: "q",
    runKey: "",
    input: undefined,
    leaseTtlMs: 1,
    journal: [],
    journalContinues: false,
    openSignals: [],
    journalThrough: 1,
    cancelRequested: false,
    deliveries: 1,
    createdAtMs: 1,
  };
  const opResult = (opId: number): ServerFrame => ({
    kind: "opResult",
    result: { opId, leaseId, outcome: refuse("BUSY", "full") },
  });
  const notice: ServerFrame = { kind: "notice", notice: { leaseId, seq: 1, what: { kind: "pause", graceMs: 1 } } };
  const revoke: ServerFrame = { kind: "revoke", lost: { leaseId, reason: "REVOKED" } };
  const assign: ServerFrame = { kind: "assign", assignment };
  const all: ServerFrame[] = [
    {
      kind: "welcome",
      sessionId: "s",
      resumeToken: "ab".repeat(16),
      resumed: true,
      settings: {
        leaseTtlMs: 30_000,
        beatIntervalMs: 10_000,
        watchdogMs: 25_000,
        acceptTimeoutMs: 5_000,
        payloadBytesMax: 10,
        frameOpsMax: 20,
      },
      verdicts: [{ leaseId, kept: false, lostReason: "EXPIRED", lastOpId: 4 }],
    },
    assign,
    { kind: "journalChunk", leaseId, journal: [], continues: true },
    opResult(1),
    { kind: "beatAck", beatSeq: 3, expiresInMs: 29_999.7, lost: [{ leaseId, reason: "RESTART" }] },
    notice,
    revoke,
    { kind: "drainAck" },
    { kind: "goAway", reason: "OVERLOAD", reconnectAfterMs: 5, jitterMs: 6, message: "later" },
    { kind: "ping", nonce: 4 },
    { kind: "frameRefused", refusal: refuse("PROTOCOL", "no", { field: "frame" }) },
  ];
  const kinds = (frames: ServerFrame[]) =>
    sessionResponses(frames).map((response) => overTheWire(SessionResponseSchema, response).frame?.frame.case);

  test("every kind goes out", () => {
    expect(kinds(all)).toEqual([
      "welcome",
      "assign",
      "journalChunk",
      "opResults",
      "beatAck",
      "notices",
      "revoke",
      "drainAck",
      "goAway",
      "ping",
      "frameRefused",
    ]);
  });
  test("neighbours of a kind share a frame, and the order between kinds stays", () => {
    const frames = [opResult(1), opResult(2), assign, assign, opResult(3), notice, notice, revoke, revoke];
    expect(kinds(frames)).toEqual(["opResults", "assign", "opResults", "notices", "revoke"]);
    const [first] = sessionResponses(frames);
    const results = first?.frame?.frame;
    if (results?.case !== "opResults") throw new Error("no results");
    expect(results.value.results.map(({ opId }) => opId)).toEqual([1n, 2n]);
  });
  test("a thousand results are one frame", () => {
    expect(sessionResponses(Array.from({ length: 1_000 }, (_, index) => opResult(index)))).toHaveLength(1);
  });
});

describe("Hello", () => {
  const init: MessageInitShape<typeof HelloSchema> = {
    workerInstanceId: "instance",
    workflows: ["a"],
    protocolVersion: 1,
  };
  test("what is left out has its default", () => {
    expect(helloFrom(create(HelloSchema, init))).toEqual({
      protocolVersion: 1,
      instanceId: "instance",
      identity: "",
      sdk: "",
      buildId: "",
      namespace: "default",
      queues: ["default"],
      workflows: ["a"],
      capacity: 10,
      resume: undefined,
      held: [],
    });
  });
  test("capacity 0 is 0, and a resume token comes back as it went", () => {
    const resumeToken = Buffer.from("ab".repeat(16), "hex");
    const lease = leaseTo({ runId: "r", leaseId, epoch: 2 });
    const held = [{ lease, noticesSeen: 3n, lastRefusedOpId: 4n }];
    const hello = helloFrom(
      create(HelloSchema, { ...init, capacity: 0, resume: { sessionId: "s", resumeToken }, held }),
    );
    expect(hello.capacity).toBe(0);
    expect(hello.resume).toEqual({ sessionId: "s", resumeToken: "ab".repeat(16) });
    expect(hello.held).toEqual([{ lease: { runId: "r", leaseId, epoch: 2 }, noticesSeen: 3, lastRefusedOpId: 4 }]);
  });
});
