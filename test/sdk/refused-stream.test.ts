import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { callWithRetry, mayRepeat } from "../../clients/typescript/src/calls.ts";
import { openConnection } from "../../clients/typescript/src/connection.ts";
import { Worker, workflow } from "../../clients/typescript/src/index.ts";
import { systemClock } from "../../clients/typescript/src/ports.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";

// A server that stops tells its connections to go away. A call that was on its way by then was not taken. And what stands
// between may end an answer before its end: Connect calls that INVALID_ARGUMENT, although nobody has said so.

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function clientOf(address: string) {
  const connection = openConnection({ address });
  closers.push(() => connection.close());
  const ports = { clock: systemClock, random: () => 0, closed: () => false };
  return { runs: createClient(RunService, connection.transport), ports };
}

/** A server on HTTP/2 that answers each request by `answer`, which is told the number of the request. */
async function serverOf(answer: (stream: http2.ServerHttp2Stream, number: number) => void): Promise<string> {
  let requests = 0;
  const server = http2.createServer();
  server.on("session", (session) => {
    closers.push(() => session.destroy());
    session.on("error", () => {});
    session.on("stream", (stream) => {
      stream.on("error", () => {});
      answer(stream, ++requests);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a call whose answer ends before its end may be made again, one that the server finds invalid may not", () => {
  const cutShort = new ConnectError("protocol error: promised 148 bytes, received 0", Code.InvalidArgument);
  expect(mayRepeat(cutShort)).toBe(true);
  const info = { desc: ErrorInfoSchema, value: { reason: "INVALID", domain: "everstep.dev" } };
  expect(mayRepeat(new ConnectError("page_size", Code.InvalidArgument, undefined, [info]))).toBe(false);
});

test("a worker whose stream ends without the last word comes back at once", async () => {
  let streams = 0;
  const cameBack = Promise.withResolvers<void>();
  const address = await serverOf((stream, number) => {
    streams = number;
    if (number === 2) cameBack.resolve();
    stream.respond({ ":status": 200, "content-type": "application/connect+proto" });
    if (number === 1) stream.end();
  });
  const lines: string[] = [];
  const worker = new Worker({ address, workflows: [workflow("w", async () => {})], log: (level) => lines.push(level) });
  worker.start();
  closers.push(() => worker.close());
  await cameBack.promise;
  expect(streams).toBe(2);
  expect(lines).not.toContain("error");
});

test("a call that crossed with the word to go away is made again on a new connection", async () => {
  const connections = new Set<unknown>();
  let calls = 0;
  let answerFirst = () => {};
  const address = await serverOf((stream, number) => {
    connections.add(stream.session);
    calls = number;
    const answer = () => {
      stream.respond({ ":status": 200, "content-type": "application/proto" });
      stream.end();
    };
    if (connections.size === 2) return answer();
    // Both calls are on their way; the first was taken, the second one's client refuses it in the server's name.
    if (number === 1) answerFirst = answer;
    else {
      stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 1);
      answerFirst();
    }
  });
  const { runs, ports } = clientOf(address);
  const outcomes = [1, 2].map(() => callWithRetry(ports, () => runs.countRuns({})));
  expect(await Promise.all(outcomes)).toMatchObject([{ counts: [] }, { counts: [] }]);
  expect({ connections: connections.size, calls }).toEqual({ connections: 2, calls: 3 });
});
