// How the SDK reaches the server: one HTTP/2 connection (h2c or TLS) that speaks Connect.
import { readFileSync } from "node:fs";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { reasonOf } from "./calls.ts";
import { InvalidArgumentError } from "./errors.ts";
import {
  type FrameStream,
  type SessionPorts,
  type StreamEvents,
  systemClock,
  systemDefer,
  systemNewId,
  systemRandom,
} from "./ports.ts";
import { type LeanConnection, withLeanCalls } from "./lean-calls.ts";
import { openLeanStream } from "./lean-stream.ts";

export interface ConnectionOptions {
  /** For example "http://127.0.0.1:7420". Default: EVERSTEP_ADDRESS, else that one. */
  readonly address?: string | undefined;
  /** Default: EVERSTEP_API_KEY, else none. */
  readonly apiKey?: string | undefined;
  /** File with the certificates to trust, for a server with a certificate of its own. */
  readonly tlsCaFile?: string | undefined;
}

/** Twice what a message of the server may have; most are cut at 256 KiB. */
const readMaxBytes = 16 * 1_024 * 1_024;

/** Frames carry megabytes a second; the 64 KiB window of HTTP/2 would make each wait for the other side. */
const streamWindowBytes = 4 * 1_024 * 1_024;

export interface Connection {
  /** For calls, and for the streams of watches. */
  readonly transport: Transport;
  /** For the stream of a session. */
  openStream(events: StreamEvents): FrameStream;
  close(): void;
}

export function openConnection(options: ConnectionOptions): Connection {
  const address = options.address ?? process.env.EVERSTEP_ADDRESS ?? "http://127.0.0.1:7420";
  const url = parseAddress(address);
  const apiKey = options.apiKey ?? process.env.EVERSTEP_API_KEY;
  const authorization = apiKey ? authorizationOf(apiKey) : undefined;
  const sessionManager = new Http2SessionManager(
    url,
    { pingIntervalMs: 20_000, pingTimeoutMs: 10_000 },
    {
      settings: { initialWindowSize: streamWindowBytes, enablePush: false },
      ...(options.tlsCaFile === undefined ? {} : { ca: readFileSync(options.tlsCaFile) }),
    },
  );
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: "2",
    sessionManager,
    interceptors: authorization === undefined ? [] : [authorize(authorization)],
    // Compression of small local messages costs more than it saves.
    acceptCompression: [],
    readMaxBytes,
    binaryOptions: { readUnknownFields: false },
  });
  const basePath = new URL(url).pathname.replace(/\/$/, "");
  const lean: LeanConnection = {
    sessions: sessionManager,
    pathOf: ({ parent, name }) => `${basePath}/${parent.typeName}/${name}`,
    headers: {
      "connect-protocol-version": "1",
      "user-agent": "everstep-typescript",
      ...(authorization === undefined ? {} : { authorization }),
    },
    readMaxBytes,
  };
  return {
    transport: withLeanCalls(transport, lean),
    openStream: (events) => openLeanStream(lean, events),
    close: () => sessionManager.abort(),
  };
}

function parseAddress(address: string): string {
  const withScheme = /^https?:\/\//.test(address) ? address : `http://${address}`;
  if (!URL.canParse(withScheme)) throw new InvalidArgumentError(`address ${JSON.stringify(address)} is not a URL`);
  return withScheme.replace(/\/+$/, "");
}

/** As it goes over the wire: a key from a file may have a newline at its end. */
function authorizationOf(apiKey: string): string {
  try {
    return new Headers({ authorization: `Bearer ${apiKey}` }).get("authorization") as string;
  } catch {
    throw new InvalidArgumentError("apiKey has characters that cannot be in a header");
  }
}

function authorize(authorization: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", authorization);
    return next(request);
  };
}

/** The real ports: system clock and chance, frames over a Connect bidi stream. */
export function createNodePorts(options: ConnectionOptions): SessionPorts {
  let connection: Connection | undefined;
  const current = (): Connection => (connection ??= openConnection(options));
  const drop = (): void => {
    connection?.close();
    connection = undefined;
  };
  return {
    clock: systemClock,
    random: systemRandom,
    newId: systemNewId,
    defer: systemDefer,
    openStream: (events) => current().openStream(events),
    isPermanent,
    renewTransport: drop,
    close: drop,
  };
}

function isPermanent(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  switch (error.code) {
    case Code.Unauthenticated:
    case Code.PermissionDenied:
    case Code.FailedPrecondition:
      return true;
    // Without a reason it is Connect's word for a stream that ended before its end, as some proxies end them.
    case Code.InvalidArgument:
      return reasonOf(error) !== undefined;
    default:
      return false;
  }
}
