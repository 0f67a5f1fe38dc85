import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { EngineError, errorReasons, refuse } from "../../src/core/errors.ts";
import { codeOfReason, connectErrorOf, toConnectError } from "../../src/server/errors.ts";
import { codeName } from "../../src/server/interceptor.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";

const root = join(import.meta.dirname, "../..");

/** The details as a client would find them. */
function detailsOf(error: ConnectError) {
  return Object.fromEntries(error.details.map((detail) => ["desc" in detail ? detail.desc.typeName : "", detail]));
}

describe("the code of a reason is the one that error_reason.proto names", () => {
  const proto = readFileSync(join(root, "proto/everstep/v1/error_reason.proto"), "utf8");
  for (const reason of errorReasons) {
    test(reason, () => {
      const comment = new RegExp(`// ([^\\n]*)\\n  ERROR_REASON_${reason} = `).exec(proto)?.[1];
      const named = /\(([A-Z_]+)[,)]/.exec(comment ?? "")?.[1];
      expect(codeName(codeOfReason[reason]).toUpperCase()).toBe(named);
    });
  }
});

test("a refusal carries reason, field, delay and the run in the way", () => {
  const taken = connectErrorOf(refuse("RUN_KEY_TAKEN", "taken", { runId: "r-1", field: "run_key" }));
  expect(taken.code).toBe(Code.AlreadyExists);
  expect(taken.rawMessage).toBe("taken");
  expect(detailsOf(taken)[ErrorInfoSchema.typeName]).toMatchObject({
    value: { reason: "RUN_KEY_TAKEN", domain: "everstep.v1", metadata: { run_id: "r-1" } },
  });
  const invalid = connectErrorOf(refuse("INVALID", "bad", { field: "queue" }));
  expect(detailsOf(invalid)[BadRequestSchema.typeName]).toMatchObject({
    value: { fieldViolations: [{ field: "queue", description: "bad" }] },
  });
  const busy = connectErrorOf(refuse("BUSY", "full", { retryAfterMs: 1_250 }));
  expect(detailsOf(busy)[RetryInfoSchema.typeName]).toMatchObject({
    value: { retryDelay: { seconds: 1n, nanos: 250_000_000 } },
  });
});

describe("what a caller sees", () => {
  const never = () => {
    throw new Error("reported");
  };
  test("of a refusal: itself, unreported", () => {
    expect(toConnectError(new EngineError(refuse("RUN_CLOSED", "ended")), never).code).toBe(Code.FailedPrecondition);
  });
  test("of an aborted wait: cancelled", () => {
    expect(toConnectError(AbortSignal.abort().reason, never).code).toBe(Code.Canceled);
  });
  test("of an error of the protocol: itself", () => {
    const error = new ConnectError("x", Code.Unimplemented);
    expect(toConnectError(error, never)).toBe(error);
  });
  test("of a bug: an id that is in the log, and nothing of the bug", () => {
    const reports: unknown[][] = [];
    const bug = new Error("secret lease 0011");
    const error = toConnectError(bug, (...args) => reports.push(args));
    expect(error.code).toBe(Code.Internal);
    expect(error.rawMessage).not.toContain("secret");
    expect(reports).toHaveLength(1);
    expect(reports[0]?.[0]).toBe(bug);
    expect(error.rawMessage).toContain(reports[0]?.[1] as string);
  });
});
