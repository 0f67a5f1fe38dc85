import { once } from "node:events";
import http2 from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createListener, http2Options, type Listener } from "../../src/server/listener.ts";
import { makeCertificate } from "../support/certificate.ts";

// The transport's limits, read back from a server: what it announces, and what it does when one is passed.

const certificate = makeCertificate();

describe.each([
  { over: "clear text", tls: undefined, skip: false },
  { over: "TLS", tls: certificate, skip: certificate === undefined },
])("over $over", ({ tls, skip }) => {
  let listener: Listener;
  let port: number;
  beforeAll(async () => {
    if (skip) return;
    listener = createListener({ handler: (_request, response) => void response.end("ok"), tls });
    ({ port } = await listener.listen(0, "127.0.0.1"));
  });
  afterAll(() => listener?.close(0));

  function connect(): http2.ClientHttp2Session {
    if (tls === undefined) return http2.connect(`http://127.0.0.1:${port}`);
    return http2.connect(`https://127.0.0.1:${port}`, { ca: tls.cert });
  }

  test.skipIf(skip)("it announces its streams, window and header size, and no push", async () => {
    const session = connect();
    const [settings] = (await once(session, "remoteSettings")) as [http2.Settings];
    expect(settings).toMatchObject({
      maxConcurrentStreams: 4_096,
      initialWindowSize: 1024 * 1024,
      maxHeaderListSize: 64 * 1024,
    });
    session.close();
  });

  test.skipIf(skip)(
    "a request with more header pairs than allowed is refused, and the connection goes on",
    async () => {
      const session = connect();
      const headers = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, "v"]));
      const refused = session.request({ ":path": "/", ...headers });
      const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
      expect(error.code).toBe("ERR_HTTP2_STREAM_ERROR");
      const [response] = (await once(session.request({ ":path": "/" }), "response")) as [http2.IncomingHttpHeaders];
      expect(response[":status"]).toBe(200);
      session.close();
    },
  );
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
