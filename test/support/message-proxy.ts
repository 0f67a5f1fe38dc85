import * as http2 from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface PassingMessage {
  readonly from: "client" | "server";
  /** The procedure. */
  readonly path: string;
  /** Without the prefix that gRPC and Connect's streams give it. */
  readonly message: Buffer;
}
/** `cut` passes a message on and tears both connections down behind it, `lose` tears them down instead. */
export type Fate = "pass" | "cut" | "lose";

export interface MessageFates {
  /** Asked for each message in turn, as it is to be passed on; not for the end of a stream and not for refusals. */
  readonly fateOf?: (message: PassingMessage) => Fate;
  /**
   * Asked for each request of one message: when it is sent, in milliseconds from now, and when its copies are. They
   * differ in nothing, and only the answer to the first one goes back. None: the stream is passed on as it comes.
   */
  readonly sendings?: (path: string) => readonly number[];
  /** Told of each copy that the server has answered, and not refused. */
  readonly copyAnswered?: (path: string) => void;
}

interface Way {
  readonly from: PassingMessage["from"];
  readonly path: string;
  readonly prefixed: boolean;
  readonly refused?: boolean;
}

/**
 * Stands between an SDK and the server and passes the messages of their HTTP/2 streams on, one by one, as far as it is
 * told to. A connection that it tears down is gone; the next ones are carried like it.
 */
export class MessageProxy {
  url = "";
  /** Copies that have not been answered yet. */
  copiesOpen = 0;
  readonly #server = createServer();
  readonly #sockets = new Set<Socket>();
  readonly #fates: MessageFates;

  private constructor(fates: MessageFates) {
    this.#fates = fates;
  }

  static async start(target: string, fates: MessageFates): Promise<MessageProxy> {
    const proxy = new MessageProxy(fates);
    proxy.#server.on("connection", (socket) => proxy.#carry(socket, new URL(target)));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`;
    return proxy;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #carry(inside: Socket, target: URL): void {
    const outside = connect(Number(target.port), target.hostname);
    // Not the sessions: what is on their streams would be ended in an orderly way.
    const end = (): void => {
      inside.destroy();
      outside.destroy();
    };
    for (const socket of [inside, outside]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    const inner = http2.performServerHandshake(inside);
    const outer = http2.connect(target, { createConnection: () => outside });
    for (const session of [inner, outer]) session.on("error", end);
    inner.on("stream", (incoming, headers) => {
      const path = headers[":path"] ?? "";
      const sendings = this.#fates.sendings?.(path) ?? [];
      if (sendings.length > 0) void this.#sendOften(incoming, headers, outer, sendings, end);
      else {
        const outgoing = outer.request(passedOn(headers));
        this.#answer(incoming, outgoing, path, end);
        this.#pass({ from: "client", path, prefixed: isPrefixed(headers) }, incoming, outgoing, end);
      }
    });
  }

  #answer(incoming: http2.ServerHttp2Stream, outgoing: http2.ClientHttp2Stream, path: string, end: () => void): void {
    let trailers: http2.OutgoingHttpHeaders = {};
    incoming.on("error", () => {});
    outgoing.on("error", () => {});
    outgoing.on("response", (response) => {
      if (incoming.destroyed) return;
      incoming.on("wantTrailers", () => incoming.sendTrailers(trailers));
      const prefixed = isPrefixed(response);
      incoming.respond(passedOn(response), { waitForTrailers: prefixed });
      this.#pass({ from: "server", path, prefixed, refused: isRefusal(response) }, outgoing, incoming, end);
    });
    outgoing.on("trailers", (received) => {
      trailers = passedOn(received);
    });
  }

  async #sendOften(
    incoming: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
    outer: http2.ClientHttp2Session,
    [own = 0, ...copies]: readonly number[],
    end: () => void,
  ): Promise<void> {
    const path = headers[":path"] ?? "";
    const chunks: Buffer[] = [];
    incoming.on("error", () => {});
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    setTimeout(() => {
      if (outer.destroyed || incoming.destroyed) return;
      const outgoing = outer.request(passedOn(headers));
      this.#answer(incoming, outgoing, path, end);
      outgoing.end(body);
    }, own);
    for (const delayMs of copies) {
      this.copiesOpen += 1;
      setTimeout(() => this.#sendCopy(outer, headers, path, body), delayMs);
    }
  }

  #sendCopy(outer: http2.ClientHttp2Session, headers: http2.IncomingHttpHeaders, path: string, body: Buffer): void {
    if (outer.destroyed) {
      this.copiesOpen -= 1;
      return;
    }
    const copy = outer.request(passedOn(headers));
    let answered = false;
    copy.on("error", () => {});
    copy.on("response", (response) => {
      answered = !isRefusal(response);
    });
    copy.on("close", () => {
      this.copiesOpen -= 1;
      if (answered) this.#fates.copyAnswered?.(path);
    });
    copy.resume().end(body);
  }

  #pass(way: Way, source: http2.Http2Stream, sink: http2.Http2Stream, end: () => void): void {
    const { from, path, prefixed, refused = false } = way;
    let rest = Buffer.alloc(0);
    /** False when the connection is torn down: nothing more is passed. */
    const pass = (bytes: Buffer, message: Buffer): boolean => {
      if (sink.destroyed || this.#torn(sink)) return false;
      const isEnd = prefixed && ((bytes[0] ?? 0) & endOfStream) !== 0;
      const fate = refused || isEnd ? "pass" : (this.#fates.fateOf?.({ from, path, message }) ?? "pass");
      if (fate === "pass") {
        sink.write(bytes);
        return true;
      }
      source.pause();
      if (fate === "cut") sink.write(bytes, end);
      else setImmediate(end);
      return false;
    };
    source.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (prefixed && rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const length = 5 + rest.readUInt32BE(1);
        const bytes = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (!pass(bytes, bytes.subarray(5))) return;
      }
    });
    source.on("end", () => {
      // A call of Connect that is no stream: its body is its message.
      if (!prefixed && !pass(rest, rest)) return;
      if (!sink.destroyed) sink.end();
    });
  }

  #torn(sink: http2.Http2Stream): boolean {
    return sink.session === undefined || sink.session.destroyed;
  }
}

/** A flag of Connect's prefix: no message, but what gRPC says in trailers. */
const endOfStream = 2;

function isRefusal(response: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader): boolean {
  return response[":status"] !== 200 || (response["grpc-status"] ?? "0") !== "0";
}

/** Whether messages come with a prefix that tells their length. */
function isPrefixed(headers: http2.IncomingHttpHeaders): boolean {
  return /^application\/(grpc|connect\+)/.test(headers["content-type"] ?? "");
}

function passedOn(headers: http2.IncomingHttpHeaders): http2.OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => typeof name === "string" && name !== "connection"),
  ) as http2.OutgoingHttpHeaders;
}
