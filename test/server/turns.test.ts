import { setImmediate as turnOver } from "node:timers/promises";
import { expect, test } from "vitest";
import { requestsPerTurn } from "../../src/limits.ts";
import type { Request, Response } from "../../src/server/http-reply.ts";
import { takeTurns } from "../../src/server/turns.ts";

/** As much of a request as turns look at; `connection` is one of HTTP/2, or of HTTP/1.1. */
function requestOf(connection: object, name: string, http2 = true) {
  const stream = { session: connection, destroyed: false };
  return http2 ? { name, stream } : { name, socket: connection, destroyed: false };
}

function turns() {
  const begun: string[] = [];
  const handler = takeTurns((request) => void begun.push((request as unknown as { name: string }).name));
  return { begun, send: (request: object) => handler(request as Request, {} as Response) };
}

test("a request that comes alone begins at once", () => {
  const { begun, send } = turns();
  send(requestOf({}, "a"));
  expect(begun).toEqual(["a"]);
});

test.each([
  ["HTTP/2", true],
  ["HTTP/1.1", false],
])("behind a thousand requests of one connection another one begins in the next turn (%s)", async (_, http2) => {
  const { begun, send } = turns();
  const [busy, other] = [{}, {}];
  for (let number = 0; number < 1_000; number++) send(requestOf(busy, `busy ${number}`, http2));
  send(requestOf(other, "other", http2));
  expect(begun).toHaveLength(requestsPerTurn);
  await turnOver();
  expect(begun).toHaveLength(2 * requestsPerTurn);
  expect(begun.indexOf("other")).toBe(requestsPerTurn + 1);
  // All begin, in the order of their connection.
  while (begun.length < 1_001) await turnOver();
  const busyOnes = begun.filter((name) => name !== "other");
  expect(busyOnes).toEqual(Array.from({ length: 1_000 }, (_, number) => `busy ${number}`));
});

test("a request that was reset while it waited never begins, and takes nobody's turn", async () => {
  const { begun, send } = turns();
  const connection = {};
  const requests = Array.from({ length: 3 * requestsPerTurn }, (_, number) => requestOf(connection, String(number)));
  for (const request of requests) send(request);
  for (const { stream } of requests.slice(requestsPerTurn, 2 * requestsPerTurn)) stream!.destroyed = true;
  await turnOver();
  expect(begun).toHaveLength(2 * requestsPerTurn);
  expect(begun.at(-1)).toBe(String(3 * requestsPerTurn - 1));
});

test("turns go on when all that waited has gone", async () => {
  const { begun, send } = turns();
  const requests = Array.from({ length: 2 * requestsPerTurn }, (_, number) => requestOf({}, String(number)));
  for (const request of requests) send(request);
  for (const { stream } of requests) stream!.destroyed = true;
  await turnOver();
  await turnOver();
  for (let number = 0; number < 2 * requestsPerTurn; number++) send(requestOf({}, "late"));
  await turnOver();
  expect(begun.filter((name) => name === "late")).toHaveLength(2 * requestsPerTurn);
});
