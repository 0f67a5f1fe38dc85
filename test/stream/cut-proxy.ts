import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";

export interface PassedFrame {
  readonly from: "worker" | "server";
  /** The gRPC message, without its prefix. */
  readonly message: Buffer;
}

export type CutAfter = (number: number, frame: PassedFrame) => boolean;

/**
 * Stands between a worker and the server and passes the messages of their stream on, one by one. After the first message
 * for which `cutAfter` is true, it tears both connections down, once; the worker's next connections are left alone.
 * Messages are counted in both directions together, from 1.
 */
export class CutProxy {
  readonly passed: PassedFrame[] = [];
  cut = false;
  url = "";
  readonly #server = http2.createServer();
  readonly #sessions = new Set<http2.Http2Session>();
  readonly #cutAfter: CutAfter;

  private constructor(cutAfter: CutAfter) {
    this.#cutAfter = cutAfter;
  }

  static async start(target: string, cutAfter: CutAfter): Promise<CutProxy> {
    const proxy = new CutProxy(cutAfter);
    proxy.#server.on("session", (session) => proxy.#carry(session, target));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`;
    return proxy;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }

  #carry(inner: http2.ServerHttp2Session, target: string): void {
    const outer = http2.connect(target);
    const end = (): void => {
      inner.destroy();
      outer.destroy();
    };
    for (const session of [inner, outer]) {
      this.#sessions.add(session);
      session.on("error", end);
      session.on("close", () => {
        this.#sessions.delete(session);
        end();
      });
    }
    inner.on("stream", (incoming, headers) => {
      const outgoing = outer.request(withoutConnectionHeaders(headers));
      incoming.on("error", () => {});
      outgoing.on("error", () => {});
      outgoing.on("response", (response) => {
        incoming.on("wantTrailers", () => incoming.sendTrailers(trailers));
        incoming.respond(withoutConnectionHeaders(response), { waitForTrailers: true });
      });
      let trailers: http2.OutgoingHttpHeaders = {};
      outgoing.on("trailers", (received) => {
        trailers = withoutConnectionHeaders(received);
      });
      this.#pass("worker", incoming, outgoing, end);
      this.#pass("server", outgoing, incoming, end);
    });
  }

  #pass(from: PassedFrame["from"], source: http2.Http2Stream, sink: http2.Http2Stream, tearDown: () => void): void {
    let rest = Buffer.alloc(0);
    source.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const length = 5 + rest.readUInt32BE(1);
        const framed = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (sink.destroyed || this.#torn(sink)) return;
        const passing = { from, message: framed.subarray(5) };
        this.passed.push(passing);
        if (this.cut || !this.#cutAfter(this.passed.length, passing)) {
          sink.write(framed);
          continue;
        }
        this.cut = true;
        sink.write(framed, tearDown);
        source.pause();
        return;
      }
    });
    source.on("end", () => {
      if (!sink.destroyed) sink.end();
    });
  }

  #torn(sink: http2.Http2Stream): boolean {
    return sink.session === undefined || sink.session.destroyed;
  }
}

function withoutConnectionHeaders(headers: http2.IncomingHttpHeaders): http2.OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => typeof name === "string" && name !== "connection"),
  ) as http2.OutgoingHttpHeaders;
}
