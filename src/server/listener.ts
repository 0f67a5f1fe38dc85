import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { requestReadMsMax } from "../limits.ts";
import type { Request, Response } from "./http-reply.ts";

// One port for HTTP/1.1 and HTTP/2. In the clear the first bytes of a connection tell which one it is; with TLS, ALPN
// does. All limits of the transport are set here.

export interface Tls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface Listener {
  listen(port: number, host: string): Promise<AddressInfo>;
  /** Takes no more connections, lets calls end for `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

export interface ListenerOptions {
  readonly handler: (request: Request, response: Response) => void;
  readonly tls?: Tls | undefined;
  /** A connection must show its first bytes, its TLS handshake and each request's headers within this time. */
  readonly headersTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
}

/** Connections at once: sessions (20,000) and as many callers fit. */
const connectionsMax = 50_000;
const headersTimeoutMsDefault = 10_000;
/** A connection of HTTP/2 without any call for this long is closed. */
const idleTimeoutMsDefault = 300_000;
const keepAliveTimeoutMs = 75_000;
/** Connect's GET requests carry the message in the URL; a run id may have 8 KiB. */
const headerBytesMax = 64 * 1024;

/** Calls at once on one connection: a proxy or an SDK with thousands of waits uses one connection for all. */
const concurrentStreamsMax = 4_096;
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;

// Where these differ from what a public web server would take (100 to 1,000 streams, 10 MiB, 64 pairs, resets of 200 and
// 20 a second), a client of good will needs more: an SDK or a proxy carries thousands of waits and sessions over one
// connection, and gives many of them up at once when it stops or a deadline passes. What a caller may cost the others is
// bounded behind the transport: by turns (turns.ts), outboxes, the mailbox and Hello's gate. There is no HTTP/2 ping of
// the server's own: sessions beat, watches have keep-alives, and the rest falls to the idle timeout.
export const http2Options: http2.ServerOptions = {
  settings: {
    maxConcurrentStreams: concurrentStreamsMax,
    initialWindowSize: streamWindowBytes,
    maxHeaderListSize: headerBytesMax,
    enablePush: false,
  },
  // MiB. Counts what waits to be written too: above what the outboxes of a few slow workers of one connection hold.
  maxSessionMemory: 128,
  // gRPC metadata of a caller behind two proxies with tracing is some 40 pairs.
  maxHeaderListPairs: 128,
  maxSendHeaderBlockLength: headerBytesMax,
  maxOutstandingPings: 10,
  maxSettings: 32,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  // Rapid reset: who gives up a thousand calls at once keeps the connection, who does nothing else does not. A stream
  // that is reset while it waits for its turn costs only its headers.
  streamResetBurst: 1_000,
  streamResetRate: 200,
  unknownProtocolTimeout: headersTimeoutMsDefault,
};

export function createListener(options: ListenerOptions): Listener {
  const headersTimeoutMs = options.headersTimeoutMs ?? headersTimeoutMsDefault;
  const sockets = new Set<Socket>();
  const idleTimeoutMs = options.idleTimeoutMs ?? idleTimeoutMsDefault;
  const sessions = new Set<http2.ServerHttp2Session>();
  const streams = new Set<http2.ServerHttp2Stream>();
  /** Answers of HTTP/1.1 that are under way. */
  const answers = new Set<http.ServerResponse>();
  let closing = false;
  const http1Options: http.ServerOptions = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestReadMsMax,
    connectionsCheckingInterval: Math.min(5_000, headersTimeoutMs),
    keepAliveTimeout: keepAliveTimeoutMs,
    maxHeaderSize: headerBytesMax,
    noDelay: true,
  };
  const front = options.tls === undefined ? clear() : secure(options.tls);

  function handle(request: Request, response: Response): void {
    if (response instanceof http.ServerResponse) {
      answers.add(response);
      response.once("close", () => answers.delete(response));
      if (closing) endConnectionBehind(response);
    }
    options.handler(request, response);
  }

  function clear() {
    const http1 = http.createServer(http1Options, handle);
    const http2Server = http2.createServer(http2Options, handle);
    watchSessions(http2Server);
    // The http server looks for slow clients only while it "listens"; this one never does on a port of its own.
    http1.emit("listening");
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.setTimeout(headersTimeoutMs, () => socket.destroy());
      readProtocol(socket, (isHttp2) => {
        socket.setTimeout(0);
        (isHttp2 ? http2Server : http1).emit("connection", socket);
      });
    });
    return { server, closeIdle: () => http1.closeIdleConnections(), stop: () => http1.close() };
  }

  function secure(tls: Tls) {
    const server = http2.createSecureServer(
      {
        ...http2Options,
        ...http1Options,
        cert: tls.cert,
        key: tls.key,
        allowHTTP1: true,
        minVersion: "TLSv1.2",
        handshakeTimeout: headersTimeoutMs,
      },
      handle,
    );
    watchSessions(server);
    // A failed handshake is the client's affair; without this it would count as an unhandled error of the socket.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return { server: server as Server, closeIdle: () => {}, stop: () => {} };
  }

  function watchSessions(server: http2.Http2Server | http2.Http2SecureServer): void {
    server.on("session", (session) => {
      sessions.add(session);
      if (closing) session.close();
      session.on("error", () => session.destroy());
      session.setLocalWindowSize(connectionWindowBytes);
      // Not session.setTimeout: it outlives the session, and with it all that a connection of a second had.
      const rest = () => setTimeout(() => session.close(), idleTimeoutMs);
      let idle = rest();
      let open = 0;
      session.on("stream", (stream: http2.ServerHttp2Stream) => {
        clearTimeout(idle);
        open += 1;
        streams.add(stream);
        stream.once("close", () => {
          streams.delete(stream);
          open -= 1;
          if (open === 0 && sessions.has(session)) idle = rest();
          setImmediate(letGo, stream);
        });
      });
      session.once("close", () => {
        sessions.delete(session);
        clearTimeout(idle);
      });
    });
    server.on("sessionError", () => {});
  }

  front.server.maxConnections = connectionsMax;
  front.server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });

  return {
    async listen(port, host) {
      front.server.listen({ port, host });
      await once(front.server, "listening");
      return front.server.address() as AddressInfo;
    },
    async close(graceMs) {
      if (!front.server.listening) return;
      closing = true;
      const closed = new Promise<void>((resolve) => front.server.close(() => resolve()));
      for (const session of sessions) session.close();
      for (const answer of answers) endConnectionBehind(answer);
      front.closeIdle();
      const cut = setTimeout(() => {
        // Destroyed with its session a stream ends with code 0, and some clients then wait for its headers for ever.
        for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
        setImmediate(() => {
          for (const session of sessions) session.destroy();
          for (const socket of sockets) socket.destroy();
        });
      }, graceMs);
      await closed;
      clearTimeout(cut);
      front.stop();
    },
  };
}

/**
 * The session's table of streams, which is Node's, keeps some of those that are over until all of the heap is collected,
 * and they, by their listeners, all that served the call.
 */
function letGo(stream: http2.ServerHttp2Stream): void {
  stream.removeAllListeners();
  stream.on("error", nobodyListens);
}
function nobodyListens(): void {}

/** Nothing is kept alive behind the last answer of a connection: its client may ask elsewhere at once. */
function endConnectionBehind(answer: http.ServerResponse): void {
  const { socket } = answer;
  if (!answer.headersSent) answer.setHeader("connection", "close");
  else answer.once("finish", () => socket?.end());
}

const preface = Buffer.from("PRI");

/** Reads as many bytes as it takes to tell HTTP/2 from HTTP/1.1 and puts them back. */
function readProtocol(socket: Socket, found: (isHttp2: boolean) => void): void {
  let head: Buffer = Buffer.alloc(0);
  function onReadable(): void {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    const compared = Math.min(head.length, preface.length);
    const matches = head.subarray(0, compared).equals(preface.subarray(0, compared));
    if (matches && compared < preface.length) return;
    socket.off("readable", onReadable);
    socket.unshift(head);
    found(matches);
  }
  socket.on("readable", onReadable);
}
