import { once } from "node:events";
import http2 from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createListener, http2Options, type Listener } from "../../src/server/listener.ts";
import { makeCertificate } from "../support/certificate.ts";
import { Http2Client } from "./http2-client.ts";
import { endHeaders, frame, headerBlock, number, setting } from "./http2-frames.ts";

// The transport's limits, read back from a server: what it announces, and what it does on either side of one.

const certificate = makeCertificate();

describe.each([
  { over: "clear text", tls: undefined, skip: false },
  { over: "TLS", tls: certificate, skip: certificate === undefined },
])("over $over", ({ tls, skip }) => {
  let listener: Listener;
  let port: number;
  beforeAll(async () => {
    if (skip) return;
    listener = createListener({
      // Calls of /wait are never answered.
      handler: (request, response) => void (request.url === "/wait" || response.end("ok")),
      tls,
    });
    ({ port } = await listener.listen(0, "127.0.0.1"));
  });
  afterAll(() => listener?.close(0));

  function connect(): http2.ClientHttp2Session {
    if (tls === undefined) return http2.connect(`http://127.0.0.1:${port}`);
    return http2.connect(`https://127.0.0.1:${port}`, { ca: tls.cert });
  }

  /** Whether a connection is open behind `count` times these frames. */
  async function isOpenAfter(count: number, each: (stream: number) => Buffer): Promise<boolean> {
    const client = new Http2Client(port, tls?.cert);
    try {
      expect(await client.isOpen()).toBe(true);
      client.send(...Array.from({ length: count }, (_, index) => each(2 * index + 1)));
      return await client.isOpen();
    } finally {
      client.close();
    }
  }
  const opened = (stream: number, path: string) => frame("headers", endHeaders, stream, headerBlock(path));

  test.skipIf(skip)("it announces its streams, windows, frame and header size, and no push", async () => {
    const session = connect();
    const [settings] = (await once(session, "remoteSettings")) as [http2.Settings];
    expect(settings).toMatchObject({
      maxConcurrentStreams: 4_096,
      initialWindowSize: 1024 * 1024,
      maxFrameSize: 16 * 1024,
      maxHeaderListSize: 64 * 1024,
      enablePush: false,
    });
    await once(session.request({ ":path": "/" }), "response");
    expect(session.state.remoteWindowSize).toBe(16 * 1024 * 1024);
    session.close();
  });

  test.skipIf(skip).each([
    { pairs: 120, refused: false },
    { pairs: 130, refused: true },
  ])("of $pairs header pairs: refused $refused, and the connection goes on", async ({ pairs, refused }) => {
    const session = connect();
    const headers = Object.fromEntries(Array.from({ length: pairs }, (_, index) => [`x-${index}`, "v"]));
    const request = session.request({ ":path": "/", ...headers });
    if (refused) {
      const [error] = (await once(request, "error")) as [NodeJS.ErrnoException];
      expect(error.code).toBe("ERR_HTTP2_STREAM_ERROR");
    } else await once(request, "response");
    const [response] = (await once(session.request({ ":path": "/" }), "response")) as [http2.IncomingHttpHeaders];
    expect(response[":status"]).toBe(200);
    session.close();
  });

  test.skipIf(skip)("it takes 32 settings in a frame, and closes over one more", async () => {
    const frameOf = (count: number) => () =>
      frame("settings", 0, 0, Buffer.concat(Array.from({ length: count }, () => setting(4, 65_535))));
    expect(await isOpenAfter(1, frameOf(32))).toBe(true);
    expect(await isOpenAfter(1, frameOf(33))).toBe(false);
  });

  test.skipIf(skip)("it closes over more than 100 frames that are invalid", async () => {
    // The name of a header has no capitals.
    const header = Buffer.concat([headerBlock("/wait"), Buffer.from([0, 1, 0x41, 1, 0x62])]);
    const invalid = (stream: number) => frame("headers", endHeaders, stream, header);
    expect(await isOpenAfter(100, invalid)).toBe(true);
    expect(await isOpenAfter(102, invalid)).toBe(false);
  });

  test.skipIf(skip)("it carries 1,000 resets at once, and closes over many more", async () => {
    const reset = (stream: number) =>
      Buffer.concat([opened(stream, "/wait"), frame("resetStream", 0, stream, number(8))]);
    expect(await isOpenAfter(990, reset)).toBe(true);
    // Those of the seconds that a slow machine takes for it come on top.
    expect(await isOpenAfter(4_000, reset)).toBe(false);
  });

  test.skipIf(skip)("it carries 4,096 streams at once, and closes over one more", async () => {
    const held = (stream: number) => opened(stream, "/wait");
    expect(await isOpenAfter(4_096, held)).toBe(true);
    expect(await isOpenAfter(4_097, held)).toBe(false);
  });
});

// What no client sees: the server sends no pings of its own, nothing is of an unknown protocol where HTTP/1.1 is served
// too, streams beyond 4,096 count as invalid before Node could reject them, 128 MiB are more than a test should
// hold, and how fast resets are forgiven shows only over seconds.
test("the limits that are not seen are set", () => {
  expect(http2Options).toMatchObject({
    maxSessionMemory: 128,
    streamResetRate: 200,
    maxSessionRejectedStreams: 100,
    maxOutstandingPings: 10,
    unknownProtocolTimeout: 10_000,
  });
});
