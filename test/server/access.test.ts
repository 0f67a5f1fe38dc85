import { describe, expect, test } from "vitest";
import { createKeyRing } from "../../src/server/auth.ts";
import { createGuard, isLoopback } from "../../src/server/guard.ts";

describe("guard", () => {
  const guard = (listenHost: string, keyRequired = false, allowedOrigins: string[] = []) =>
    createGuard({ listenHost, keyRequired: () => keyRequired, allowedOrigins });
  const local = guard("127.0.0.1", false, ["https://console.example.com"]);

  for (const host of ["localhost", "localhost:7420", "LOCALHOST:1", "127.0.0.1:7420", "[::1]:7420", "[::1]"]) {
    test(`Host ${host} passes on loopback`, () => expect(local.refusal(host, undefined)).toBeUndefined());
  }
  const hostile = [
    "evil.com",
    "evil.com:7420",
    "localhost.evil.com",
    "127.0.0.1.evil.com",
    "192.168.1.5",
    "a b",
    "",
    "x:y:z",
  ];
  for (const host of [...hostile, "localhost:7420@evil.com", "[::2]", "127.0.0.1/..", "localhost:999999"]) {
    test(`Host ${JSON.stringify(host)} does not`, () => expect(local.refusal(host, undefined)).toBeDefined());
  }
  test("no Host does not", () => expect(local.refusal(undefined, undefined)).toBeDefined());
  test("a foreign Origin does not, the same host and a listed one do", () => {
    expect(local.refusal("localhost:7420", "http://evil.com")).toBeDefined();
    expect(local.refusal("localhost:7420", "null")).toBeDefined();
    expect(local.refusal("localhost:7420", "http://localhost:3000")).toBeDefined();
    expect(local.refusal("localhost:7420", "http://localhost:7420")).toBeUndefined();
    expect(local.refusal("localhost:7420", "https://console.example.com")).toBeUndefined();
    expect(local.allows("https://console.example.com")).toBe(true);
    expect(local.allows("http://localhost:7420")).toBe(false);
  });
  test("beyond loopback any Host passes, but a page's own name only when a key is needed", () => {
    expect(guard("0.0.0.0").refusal("everstep.internal:7420", undefined)).toBeUndefined();
    expect(guard("0.0.0.0").refusal("rebound.evil.com", "http://rebound.evil.com")).toBeDefined();
    expect(guard("0.0.0.0", true).refusal("everstep.internal", "http://everstep.internal")).toBeUndefined();
  });
  test("what is loopback", () => {
    expect(["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "10.0.0.1", "127.evil.com", "", "localhost."].some(isLoopback)).toBe(false);
  });
  test("an allowed origin must be one", () => {
    expect(() => guard("localhost", false, ["example.com"])).toThrow(/not of the form/);
  });
});

describe("API keys", () => {
  const one = "key-number-one";
  const two = "key-number-two";
  test("bearer or x-api-key, whole and right", () => {
    const ring = createKeyRing([one, two]);
    expect(ring.required).toBe(true);
    expect(ring.find({ authorization: `Bearer ${one}` })).toBeDefined();
    expect(ring.find({ authorization: `bearer  ${two} ` })).toBeDefined();
    expect(ring.find({ "x-api-key": two })).toBeDefined();
    const wrong = [{}, { authorization: one }, { authorization: "Bearer " }, { authorization: `Bearer ${one}x` }];
    for (const headers of wrong) expect(ring.find(headers)).toBeUndefined();
    expect(ring.find({ authorization: `Basic ${one}` })).toBeUndefined();
    expect(ring.find({ authorization: "Bearer wrong-key", "x-api-key": one })).toBeUndefined();
  });
  test("a key that is gone ends what was opened with it, the others go on", () => {
    const ring = createKeyRing([one, two]);
    const first = ring.find({ "x-api-key": one });
    const second = ring.find({ "x-api-key": two });
    ring.setKeys([two, "key-number-three"]);
    expect(first?.aborted).toBe(true);
    expect(second?.aborted).toBe(false);
    expect(ring.find({ "x-api-key": two })).toBe(second);
    expect(ring.find({ "x-api-key": one })).toBeUndefined();
    expect(ring.find({ "x-api-key": "key-number-three" })).toBeDefined();
  });
  test("without any key left nobody gets in", () => {
    const ring = createKeyRing([one]);
    ring.setKeys([]);
    expect(ring.required).toBe(true);
    expect(ring.find({ "x-api-key": one })).toBeUndefined();
  });
  test("keys are not kept", () => {
    expect(JSON.stringify(createKeyRing([one]))).not.toContain(one);
  });
  for (const key of ["", "short", "with space in it", "with-newline\n", "umlaut-ä-key"]) {
    test(`${JSON.stringify(key)} is no key`, () => expect(() => createKeyRing([key])).toThrow(/printable ASCII/));
  }
  test("no keys: nothing is asked", () => expect(createKeyRing(undefined).required).toBe(false));
});
