import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { callWithRetry } from "../../clients/typescript/src/calls.ts";
import { openConnection } from "../../clients/typescript/src/connection.ts";
import { systemClock } from "../../clients/typescript/src/ports.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

// A server that stops tells its connections to go away. A call that was on its way by then was not taken.

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

test("a call that crossed with the word to go away is made again on a new connection", async () => {
  let connections = 0;
  let calls = 0;
  let answerFirst = () => {};
  const server = http2.createServer();
  server.on("session", (session) => {
    const number = ++connections;
    closers.push(() => session.destroy());
    session.on("error", () => {});
    session.on("stream", (stream) => {
      calls += 1;
      stream.on("error", () => {});
      const answer = () => {
        stream.respond({ ":status": 200, "content-type": "application/proto" });
        stream.end();
      };
      if (number === 2) return answer();
      // Both calls are on their way; the first was taken, the second one's client refuses it in the server's name.
      if (calls === 1) answerFirst = answer;
      else {
        session.goaway(http2.constants.NGHTTP2_NO_ERROR, 1);
        answerFirst();
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  const connection = openConnection({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  closers.push(() => connection.close());
  const runs = createClient(RunService, connection.transport);
  const ports = { clock: systemClock, random: () => 0, closed: () => false };
  const outcomes = [1, 2].map(() => callWithRetry(ports, () => runs.countRuns({})));
  expect(await Promise.all(outcomes)).toMatchObject([{ counts: [] }, { counts: [] }]);
  expect({ connections, calls }).toEqual({ connections: 2, calls: 3 });
});
