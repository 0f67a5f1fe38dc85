import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { connect, type Socket } from "node:net";
import v8 from "node:v8";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createListener, type Listener, type Tls } from "../../src/server/listener.ts";
import { makeCertificate } from "../support/certificate.ts";

const listeners: Listener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close(0);
});

/** The class of Node's sessions, which has no name of its own. */
let serverSession: () => void = () => {};

type Held = { write(text: string): unknown; end(text: string): unknown };
type StartOptions = {
  tls?: Tls;
  headersTimeoutMs?: number;
  idleTimeoutMs?: number;
  hold?: boolean;
  /** Answers that the test gives itself are put here. */
  held?: Held[];
};

async function start(options: StartOptions = {}): Promise<number> {
  const listener = createListener({
    ...options,
    handler(request, response) {
      if ("stream" in request) serverSession = request.stream.session?.constructor as typeof serverSession;
      if (options.hold === true) return;
      if (options.held !== undefined) {
        options.held.push(response as Held);
        return;
      }
      response.setHeader("content-type", "text/plain");
      response.end(`${request.httpVersion} ${request.url}`);
    },
  });
  listeners.push(listener);
  return (await listener.listen(0, "127.0.0.1")).port;
}

async function textOf(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

async function get1(options: https.RequestOptions, client: typeof http | typeof https = http): Promise<string> {
  const request = client.request({ host: "127.0.0.1", path: "/a", agent: false, ...options });
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return textOf(response);
}

async function get2(url: string, options: http2.SecureClientSessionOptions = {}): Promise<string> {
  const session = http2.connect(url, options);
  try {
    return await textOf(session.request({ ":path": "/b" }).setEncoding("utf8"));
  } finally {
    session.close();
  }
}

describe("in the clear", () => {
  test("HTTP/1.1 and HTTP/2 share the port", async () => {
    const port = await start();
    expect(await get1({ port })).toBe("1.1 /a");
    expect(await get2(`http://127.0.0.1:${port}`)).toBe("2.0 /b");
  });

  test("a request that comes byte by byte is understood", async () => {
    const socket = connect(await start(), "127.0.0.1");
    socket.setNoDelay(true);
    await once(socket, "connect");
    for (const byte of "PUT /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") {
      socket.write(byte);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(await textOf(socket.setEncoding("utf8"))).toContain("1.1 /slow");
  });

  test("an HTTP/2 preface in two pieces is understood", async () => {
    const port = await start();
    const split = connect(port, "127.0.0.1");
    split.setNoDelay(true);
    let first = true;
    const write = split.write.bind(split) as (chunk: Buffer) => boolean;
    const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => split });
    split.write = ((chunk: Buffer, ...rest: never[]) => {
      if (!first) return (write as (...args: unknown[]) => boolean)(chunk, ...rest);
      first = false;
      write(chunk.subarray(0, 2));
      setTimeout(() => write(chunk.subarray(2)), 20);
      return true;
    }) as Socket["write"];
    expect(await textOf(session.request({ ":path": "/b" }).setEncoding("utf8"))).toBe("2.0 /b");
    session.close();
  });

  const silent: [string, string][] = [
    ["says nothing", ""],
    ["says only PR", "PR"],
    ["never ends its headers", "GET / HTTP/1.1\r\nHost: localhost\r\nX: "],
  ];
  for (const [name, text] of silent) {
    test(`a client that ${name} is cut off`, async () => {
      const socket = connect(await start({ headersTimeoutMs: 200 }), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(text);
      const startedAt = performance.now();
      socket.resume();
      await once(socket, "close");
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    });
  }

  test("rubbish harms nobody", async () => {
    const port = await start();
    for (const text of ["\u0000\u0001\u0002", "PRI * HTTP/2.0\r\n\r\nrubbish that is no frame", "GET\r\n\r\n"]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.end(text);
      socket.resume();
      await once(socket, "close");
    }
    expect(await get1({ port })).toBe("1.1 /a");
  });

  test("close ends sessions and calls that do not end themselves", async () => {
    const held: Held[] = [];
    const port = await start({ held });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    const streams = ["/held", "/held"].map((path) => session.request({ ":path": path }).on("error", () => {}));
    const request = http.get({ port, host: "127.0.0.1", path: "/held" });
    request.on("error", () => {});
    const ended = new Promise((resolve) => request.once("close", resolve));
    await vi.waitUntil(() => held.length === 3, { timeout: 10_000 });
    const startedAt = performance.now();
    await Promise.all([listeners[0]?.close(200), once(session, "close"), ended]);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    // Without an error they would seem to have ended well, and some clients would wait for their headers for ever.
    expect(streams.map(({ rstCode }) => rstCode)).toEqual([
      http2.constants.NGHTTP2_CANCEL,
      http2.constants.NGHTTP2_CANCEL,
    ]);
    await expect(get1({ port })).rejects.toThrow();
  });
});

const tls = makeCertificate();
const inTheClear = { name: "in the clear", tls: undefined, client: http };
const overTls = { name: "over TLS", tls, client: https };

describe.each(tls === undefined ? [inTheClear] : [inTheClear, overTls])("a close $name", ({ tls, client }) => {
  /** Far beyond what a close takes that waits for nobody. */
  const graceMs = 60_000;

  async function closes(): Promise<void> {
    const startedAt = performance.now();
    await listeners[0]?.close(graceMs);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  }
  function kept(port: number): http.ClientRequest {
    const agent = new client.Agent({ keepAlive: true, ca: tls?.cert } as https.AgentOptions);
    return client.get({ port, host: "127.0.0.1", path: "/a", agent }).on("error", () => {});
  }

  test("does not wait for a kept connection without a request", async () => {
    const port = await start(tls === undefined ? {} : { tls });
    const [response] = (await once(kept(port), "response")) as [http.IncomingMessage];
    expect(await textOf(response)).toBe("1.1 /a");
    await closes();
  });

  test("says with the last answer of a kept connection that it is the last, and ends it", async () => {
    const held: Held[] = [];
    const request = kept(await start({ ...(tls === undefined ? {} : { tls }), held }));
    const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
    while (held.length === 0) await new Promise(setImmediate);
    const closed = closes();
    held[0]?.end("late");
    const [response] = await answered;
    expect(response.headers.connection).toBe("close");
    expect(await textOf(response)).toBe("late");
    await closed;
  });

  test("ends a kept connection whose answer had begun, when it is whole", async () => {
    const held: Held[] = [];
    const request = kept(await start({ ...(tls === undefined ? {} : { tls }), held }));
    const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
    while (held.length === 0) await new Promise(setImmediate);
    held[0]?.write("be");
    const [response] = await answered;
    const closed = closes();
    held[0]?.end("gun");
    expect(await textOf(response)).toBe("begun");
    await closed;
  });
});

describe("TLS", () => {
  test.skipIf(tls === undefined)("ALPN chooses between HTTP/1.1 and HTTP/2", async () => {
    const port = await start({ tls: tls as Tls });
    const ca = tls?.cert as Buffer;
    expect(await get1({ port, ca }, https)).toBe("1.1 /a");
    expect(await get2(`https://127.0.0.1:${port}`, { ca })).toBe("2.0 /b");
  });

  test.skipIf(tls === undefined)("clear text and a silent client are cut off", async () => {
    const port = await start({ tls: tls as Tls, headersTimeoutMs: 200 });
    for (const text of ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(text);
      socket.resume();
      await once(socket, "close");
    }
    expect(await get1({ port, ca: tls?.cert as Buffer }, https)).toBe("1.1 /a");
  });
});

/** Server-side sessions that are still in memory, asked until there is none. */
async function sessionsLeft(): Promise<number> {
  let left = 0;
  for (let asked = 0; asked < 100; asked++) {
    left = v8.queryObjects(serverSession, { format: "count" });
    if (left === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return left;
}

describe("connections of HTTP/2", () => {
  test("one that says only during the close what it speaks does not hold it up", async () => {
    const port = await start();
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    // Connections are taken in order: the one before has been.
    await get1({ port });
    const startedAt = performance.now();
    const closed = listeners[0]?.close(60_000);
    const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => socket });
    session.on("error", () => {});
    await Promise.all([closed, once(session, "close")]);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test("one without a call is closed when its time is over, one with a call is not", async () => {
    const url = `http://127.0.0.1:${await start({ idleTimeoutMs: 500, hold: true })}`;
    const busy = http2.connect(url);
    const call = busy.request({ ":path": "/waits" });
    call.on("error", () => {});
    const idle = http2.connect(url);
    await once(idle, "close");
    const later = http2.connect(url);
    await once(later, "close");
    expect(busy.closed).toBe(false);
    call.close();
    await once(busy, "close");
  });

  test("nothing is left of one that is gone", async () => {
    const url = `http://127.0.0.1:${await start()}`;
    for (let i = 0; i < 10; i++) await get2(url);
    expect(await sessionsLeft()).toBe(0);
  });
});
