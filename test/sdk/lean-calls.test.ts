import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { afterEach, describe, expect, test } from "vitest";
import { mayRepeat, reasonOf } from "../../clients/typescript/src/calls.ts";
import { openConnection } from "../../clients/typescript/src/connection.ts";
import { refuse } from "../../src/core/errors.ts";
import { connectErrorOf } from "../../src/server/errors.ts";
import { GetRunResponseSchema, RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

// The client's plain calls do not pass Connect's transport. What it makes of an answer, a bad one too, is held against
// what that transport makes of the same bytes: the message, or what the caller does about the error.

type Answer = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that gives every call the same answer, behind its whole message. */
async function serve(answer: Answer): Promise<string> {
  const server = http2.createServer({ settings: { initialWindowSize: 1_000_000 } });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    stream.resume();
    stream.on("end", () => answer(stream, headers));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function leanTransport(address: string): Transport {
  // As it comes out of a file.
  const connection = openConnection({ address, apiKey: "a-key-of-the-test\n" });
  closers.push(() => connection.close());
  return connection.transport;
}
function connectTransport(baseUrl: string): Transport {
  return createConnectTransport({ baseUrl, httpVersion: "2", readMaxBytes: 16 * 1024 * 1024, acceptCompression: [] });
}

/** The run's id, or what the caller would do. */
async function outcome(transport: Transport) {
  try {
    const { run } = await createClient(RunService, transport).getRun({ runId: "run-1" });
    return { runId: run?.runId };
  } catch (error) {
    expect(error).toBeInstanceOf(ConnectError);
    const { code } = error as ConnectError;
    const reason = reasonOf(error as ConnectError);
    // Of what may be repeated the code is not looked at.
    return { repeated: mayRepeat(error), code: mayRepeat(error) ? undefined : Code[code], reason };
  }
}

const message = Buffer.from(toBinary(GetRunResponseSchema, create(GetRunResponseSchema, { run: { runId: "run-1" } })));
const ok = { ":status": 200, "content-type": "application/proto" };
const refusalOf = (error: ConnectError) => errorToJsonBytes(error, undefined);
const json = (status: number) => ({ ":status": status, "content-type": "application/json" });

const saying =
  (headers: http2.OutgoingHttpHeaders, body: string | Uint8Array): Answer =>
  (stream) => {
    stream.respond(headers);
    stream.end(body);
  };

const answers: [string, Answer][] = [
  ["a message", saying(ok, message)],
  ["an empty message", (stream) => stream.respond(ok, { endStream: true })],
  [
    "a message in pieces",
    (stream) => {
      stream.respond({ ...ok, "content-length": message.length });
      for (const byte of message) stream.write(Buffer.from([byte]));
      stream.end();
    },
  ],
  [
    "a refusal with its reason",
    saying(json(404), refusalOf(connectErrorOf(refuse("RUN_NOT_FOUND", "there is no such run", { runId: "run-1" })))),
  ],
  [
    "a refusal that may pass",
    saying(json(429), refusalOf(connectErrorOf(refuse("BUSY", "not now", { retryAfterMs: 5 })))),
  ],
  [
    "a refusal in a type with parameters",
    saying({ ":status": 404, "content-type": "Application/JSON; charset=utf-8" }, '{"code":"not_found"}'),
  ],
  ["a refusal without its reason", saying(json(403), '{"code":"permission_denied"}')],
  ["a refusal that is no JSON", saying(json(401), "<html>")],
  ["a page of a proxy that has no server", saying({ ":status": 502 }, "<html>")],
  ["a page of a proxy that knows no such path", saying({ ":status": 404 }, "no")],
  ["a page", saying({ ":status": 200, "content-type": "text/html" }, "<html>")],
  ["bytes that are no message", saying(ok, Buffer.from([10, 200, 1]))],
  ["a stream that is refused", (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)],
  ["a stream that fails", (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)],
  [
    "a stream that is reset behind its headers",
    (stream) => {
      stream.respond(ok);
      stream.write(message.subarray(0, 3), () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    },
  ],
  [
    "a connection that breaks behind the headers",
    (stream) => {
      stream.respond(ok);
      stream.write(message.subarray(0, 3), () => stream.session?.socket.destroy());
    },
  ],
  ["a connection that breaks", (stream) => stream.session?.destroy()],
  [
    "an answer that is too large",
    (stream) => {
      stream.respond(ok);
      const chunk = Buffer.alloc(1024 * 1024);
      const push = () => {
        while (!stream.destroyed && stream.write(chunk));
      };
      stream.on("drain", push);
      push();
    },
  ],
];

describe("a plain call makes the same of", () => {
  test.each(answers)("%s", async (_what, answer) => {
    const url = await serve(answer);
    expect(await outcome(leanTransport(url))).toEqual(await outcome(connectTransport(url)));
  });

  test("a port on which nobody listens", async () => {
    const url = "http://127.0.0.1:9";
    const lean = await outcome(leanTransport(url));
    expect(lean).toEqual(await outcome(connectTransport(url)));
    expect(lean).toMatchObject({ repeated: true });
  });
});

test.each<[string, (stream: http2.ServerHttp2Stream) => void]>([
  ["is reset", (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)],
  ["is given up", (stream) => stream.close(http2.constants.NGHTTP2_CANCEL)],
  ["is reset without an error", (stream) => stream.destroy()],
  ["loses its session", (stream) => stream.session?.destroy()],
  ["loses its socket", (stream) => stream.session?.socket.destroy()],
])("half an answer is none, though what came of it can be read: its stream %s", async (_what, cut) => {
  const url = await serve((stream) => {
    stream.respond({ ...ok, "content-length": message.length });
    // Behind the client's answer to this it has the headers, and no byte of a message is a message, too.
    stream.session?.ping(() => cut(stream));
  });
  expect(await outcome(leanTransport(url))).toMatchObject({ repeated: true });
});

test("a key that cannot be in a header is refused at once", () => {
  expect(() => openConnection({ address: "http://127.0.0.1:9", apiKey: "two\nlines" })).toThrow(
    /apiKey has characters/,
  );
});

test("each call shows the key, and says what Connect's protocol asks for", async () => {
  const seen: http2.IncomingHttpHeaders[] = [];
  const url = await serve((stream, headers) => {
    seen.push(headers);
    stream.respond(ok);
    stream.end(message);
  });
  const client = createClient(RunService, leanTransport(`${url}/behind/a/proxy/`));
  await client.getRun({ runId: "run-1" });
  await client.getRun({ runId: "run-1" }, { timeoutMs: 60_000 });
  const said = (header: http2.IncomingHttpHeaders | undefined) => ({
    path: header?.[":path"],
    method: header?.[":method"],
    type: header?.["content-type"],
    version: header?.["connect-protocol-version"],
    key: header?.authorization,
  });
  expect(said(seen[0])).toEqual(said(seen[1]));
  expect(said(seen[0])).toMatchObject({
    path: "/behind/a/proxy/everstep.v1.RunService/GetRun",
    key: "Bearer a-key-of-the-test",
  });
});
