import { connect, type Socket } from "node:net";
import tls from "node:tls";
import { frame, number, preface, types } from "./http2-frames.ts";

const ack = 1;

/** A connection of HTTP/2 that says what it is told to say, and asks whether it is still open. */
export class Http2Client {
  readonly #socket: Socket;
  readonly #pings = new Map<number, () => void>();
  #received: Buffer = Buffer.alloc(0);
  #pingNo = 0;
  closed = false;
  readonly #whenClosed: Promise<void>;

  constructor(port: number, ca: string | Buffer | undefined) {
    this.#socket =
      ca === undefined
        ? connect(port, "127.0.0.1")
        : tls.connect({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"] });
    this.#socket.on("error", () => {});
    this.#socket.on("data", (part: Buffer) => this.#take(part));
    this.#whenClosed = new Promise((resolve) => {
      this.#socket.once("close", () => {
        this.closed = true;
        resolve();
      });
    });
    this.#socket.write(Buffer.concat([preface, frame("settings", 0, 0)]));
  }
  send(...frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }
  /** Whether the server answers a ping behind all that was said, or has closed the connection. */
  async isOpen(): Promise<boolean> {
    const no = ++this.#pingNo;
    const answered = new Promise<void>((resolve) => void this.#pings.set(no, resolve));
    this.send(frame("ping", 0, 0, Buffer.concat([number(0), number(no)])));
    await Promise.race([answered, this.#whenClosed]);
    return !this.closed;
  }
  close(): void {
    this.#socket.destroy();
  }
  #take(part: Buffer): void {
    this.#received = Buffer.concat([this.#received, part]);
    for (;;) {
      const end = this.#received.length < 9 ? Number.POSITIVE_INFINITY : 9 + this.#received.readUIntBE(0, 3);
      if (this.#received.length < end) return;
      const [type, flags] = [this.#received[3], this.#received[4]];
      if (type === types.settings && flags !== ack) this.send(frame("settings", ack, 0));
      if (type === types.ping && flags === ack) this.#pings.get(this.#received.readUInt32BE(13))?.();
      this.#received = this.#received.subarray(end);
    }
  }
}
