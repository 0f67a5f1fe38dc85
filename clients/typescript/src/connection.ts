// How the SDK reaches the server: one HTTP/2 connection (h2c or TLS) that speaks Connect.
import { readFileSync } from "node:fs";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { SessionRequest, SessionResponse, WorkerFrame } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
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
import { withLeanCalls } from "./lean-calls.ts";
import { framesOf, leanRequest, leanSession } from "./session-wire/lean-session.ts";

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
  readonly transport: Transport;
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
  const leanTransport = withLeanCalls({
    transport,
    connection: sessionManager,
    basePath: new URL(url).pathname.replace(/\/$/, ""),
    headers: authorization === undefined ? {} : { authorization },
    readMaxBytes,
  });
  return { transport: leanTransport, close: () => sessionManager.abort() };
}

function parseAddress(address: string): string {
  const withScheme = /^https?:\/\//.test(address) ? address : `http://${address}`;
  if (!URL.canParse(withScheme)) throw new InvalidArgumentError(`address ${JSON.stringify(address)} is not a URL`);
  return withScheme.replace(/\/+$/, "");
}

/** As it goes over the wire: a key from a file may have a newline at its end. Throws when it cannot be in a header. */
function authorizationOf(apiKey: string): string {
  return new Headers({ authorization: `Bearer ${apiKey}` }).get("authorization") as string;
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
    openStream: (events) => openFrameStream(current().transport, events),
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

function openFrameStream(transport: Transport, events: StreamEvents): FrameStream {
  const abortion = new AbortController();
  const waiting: WorkerFrame[] = [];
  let wake: (() => void) | undefined;
  let finished = false;
  let taken = 0;

  async function* requests(): AsyncGenerator<SessionRequest> {
    for (;;) {
      while (taken < waiting.length) {
        yield leanRequest(waiting[taken++] as WorkerFrame);
      }
      waiting.length = taken = 0;
      if (finished || abortion.signal.aborted) return;
      const woken = new Promise<void>((resolve) => (wake = resolve));
      events.onWritable();
      await woken;
    }
  }

  async function receive(): Promise<void> {
    const { message: responses } = await transport.stream(
      leanSession,
      abortion.signal,
      undefined,
      undefined,
      requests(),
    );
    for await (const response of responses) {
      for (const frame of framesOf(response as SessionResponse)) {
        if (abortion.signal.aborted) return;
        events.onFrame(frame);
      }
    }
  }

  receive().then(
    () => {
      wake?.();
      if (!abortion.signal.aborted) events.onEnd(undefined);
    },
    (error) => {
      wake?.();
      if (!abortion.signal.aborted) events.onEnd(error);
    },
  );

  return {
    get waitingFrames() {
      return waiting.length - taken;
    },
    send(frame) {
      if (finished) return;
      waiting.push(frame);
      wake?.();
    },
    finish() {
      finished = true;
      wake?.();
    },
    abort() {
      abortion.abort();
      wake?.();
    },
  };
}
