import { once } from "node:events";
import http2 from "node:http2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createListener, http2Options, type Listener } from "../../src/server/listener.ts";

// The transport's limits, read back from a server: what it announces, and what it does when one is passed.

let listener: Listener;
let url: string;
beforeAll(async () => {
  listener = createListener({ handler: (_request, response) => void response.end("ok") });
  url = `http://127.0.0.1:${(await listener.listen(0, "127.0.0.1")).port}`;
});
afterAll(() => listener.close(0));

test("it announces its streams, window and header size, and no push", async () => {
  const session = http2.connect(url);
  const [settings] = (await once(session, "remoteSettings")) as [http2.Settings];
  expect(settings).toMatchObject({
    maxConcurrentStreams: 4_096,
    initialWindowSize: 1024 * 1024,
    maxHeaderListSize: 64 * 1024,
  });
  session.close();
});

test("a request with more header pairs than allowed is refused, and the connection goes on", async () => {
  const session = http2.connect(url);
  const headers = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, "v"]));
  const refused = session.request({ ":path": "/", ...headers });
  const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ERR_HTTP2_STREAM_ERROR");
  const [response] = (await once(session.request({ ":path": "/" }), "response")) as [http2.IncomingHttpHeaders];
  expect(response[":status"]).toBe(200);
  session.close();
});

test("every limit of the transport is set", () => {
  expect(http2Options).toMatchObject({
    maxSessionMemory: 128,
    maxHeaderListPairs: 128,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxOutstandingPings: 10,
    maxSettings: 32,
    streamResetBurst: 1_000,
    streamResetRate: 200,
    unknownProtocolTimeout: 10_000,
  });
});
