// Pieces of which scripted scenarios are made. All of it is data.
import type { ProgramInput } from "../drivers/typescript-program.ts";
import type { ScriptedAction } from "../scenario.ts";

/** Lease n is of run "run-n" and has epoch n + 6. */
export const leaseId = (n: number): string => Buffer.alloc(16, n).toString("base64");
export const lease = (n = 1) => ({ runId: `run-${n}`, leaseId: leaseId(n), epoch: String(n + 6) });

export const settings = {
  leaseTtlMs: "30000",
  beatIntervalMs: "10000",
  watchdogMs: "25000",
  acceptTimeoutMs: "5000",
  payloadBytesMax: "262144",
  frameOpsMax: 1_024,
};

export const welcome = (more: object = {}) => ({
  welcome: {
    sessionId: "session-1",
    resumeToken: Buffer.from("token").toString("base64"),
    protocolVersion: 1,
    serverVersion: "0.0.0-scripted",
    settings,
    ...more,
  },
});

/** A worker that has said hello and was welcomed. */
export const welcomed = (more: object = {}): ScriptedAction[] => [
  { stream: true },
  { frame: "hello", like: { resume: null } },
  { send: welcome(more) },
];

export const assign = (program: ProgramInput["do"], more: object = {}, n = 1): ScriptedAction => ({
  send: {
    assign: {
      assignments: [
        {
          lease: lease(n),
          namespace: "default",
          workflow: "program",
          queue: "default",
          input: { json: JSON.stringify({ do: program }) },
          leaseTtlMs: "30000",
          journalThrough: "2",
          deliveries: 1,
          createdAtMs: "1700000000000",
          ...more,
        },
      ],
    },
  },
});

export const accepted = (n = 1): ScriptedAction => ({ frame: "accept", like: { leases: [lease(n)] } });

export const completeStep = (stepKey: string, json: string, attempt = 1) => ({
  completeStep: { stepKey, attempt, output: { json } },
});
export const completeRun = (json: string) => ({ completeRun: { output: { json } } });

/** The run ends with this output, and the worker has room again. */
export const completes = (json: string, n = 1): ScriptedAction[] => [
  { op: [completeRun(json)], lease: n },
  { tellUntil: { cmd: "health" }, value: { held: 0 } },
];

export const notice = (seq: number, what: object, n = 1): ScriptedAction => ({
  send: { notices: { notices: [{ leaseId: leaseId(n), seq: String(seq), ...what }] } },
});

export const completedEntry = (stepKey: string, json: string) => ({ stepKey, completed: { output: { json } } });

export const step = (key: string, result: unknown) => ({ op: "step", key, result }) as const;
/** A step that waits for the command `finish` and gives "held". */
export const held = (key: string) => ({ op: "step", key, hold: true, result: "held" }) as const;
export const heldIs = (count: number): ScriptedAction => ({ tellUntil: { cmd: "health" }, value: { held: count } });
/** A worker that has asked for leave to enter the at-most-once step "pay", and has no answer yet. */
export const asksToPay: readonly ScriptedAction[] = [
  ...welcomed(),
  assign([{ ...step("pay", 1), atMostOnce: true }]),
  accepted(),
  { op: [{ startStep: { stepKey: "pay", attempt: 1, atMostOnce: true } }], answer: "nothing" },
];
/** A refusal that passes. */
export const transient = { retryable: true };
export const refused = (reason: string, more: object = {}) => ({
  refused: { reason: `ERROR_REASON_${reason}`, message: `scripted ${reason}`, ...more },
});
