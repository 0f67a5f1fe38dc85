import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** What the network does to the bytes of one direction. */
export interface Weather {
  /** Swallowed: nothing arrives, nothing is closed. */
  readonly lost?: boolean;
  /** Each chunk arrives this much later, and up to `jitterMs` more; order is kept. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  /** Bytes per second. */
  readonly rate?: number;
  /** Bytes of one chunk. */
  readonly chunk?: number;
  /** The connection ends behind so many bytes in this direction. */
  readonly limitBytes?: number;
  /** The end of one side is told to the other one this much later. */
  readonly closeLateMs?: number;
}

const fair: Weather = {};

/** Stands between a worker and the server and passes bytes on, as well as the weather of each direction lets it. */
export class FaultProxy {
  url = "";
  /** Bytes that were swallowed: the proof that something was lost. */
  swallowed = 0;
  /** Chunks that were passed on late. */
  delayed = 0;
  /** Bytes that waited for their turn at a rate. */
  throttled = 0;
  /** Chunks that were passed on in more than one part. */
  split = 0;
  /** Connections that ended because they had carried their limit. */
  limited = 0;
  /** Ends that were told late. */
  closedLate = 0;
  /** Connections that were reset after the server had spoken through them. */
  wasReset = 0;
  toServer: Weather = fair;
  toWorker: Weather = fair;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #serverEnds = new WeakSet<Socket>();

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((inner) => {
      const outer = connect(Number(port), hostname);
      this.#serverEnds.add(outer);
      this.#join(inner, outer, () => this.toServer);
      this.#join(outer, inner, () => this.toWorker);
    });
  }
  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`;
    return proxy;
  }
  clear(): void {
    this.toServer = fair;
    this.toWorker = fair;
  }
  /** Ends every connection with a reset. */
  reset(): void {
    for (const socket of this.#sockets) {
      if (this.#serverEnds.has(socket) && socket.bytesRead > 0 && !socket.destroyed) this.wasReset += 1;
      socket.resetAndDestroy();
    }
  }
  /** Ends every connection on the side of the worker; the server is told when `toServer` lets it know. */
  hangUp(): void {
    for (const socket of this.#sockets) if (!this.#serverEnds.has(socket)) socket.destroy();
  }
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(from: Socket, to: Socket, weather: () => Weather): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    // A silent network does not tell either end that the other one has gone.
    const over = (): void => {
      this.#sockets.delete(from);
      const { lost = false, closeLateMs = 0 } = weather();
      if (lost || to.destroyed) return;
      if (closeLateMs === 0) to.destroy();
      else
        setTimeout(() => {
          if (!to.destroyed) this.closedLate += 1;
          to.destroy();
        }, closeLateMs);
    };
    from.on("error", over);
    from.on("close", over);
    void this.#carry(from, to, weather);
  }

  async #carry(from: Socket, to: Socket, weather: () => Weather): Promise<void> {
    let carried = 0;
    try {
      for await (const bytes of from as AsyncIterable<Buffer>) {
        const { delayMs = 0, jitterMs = 0, rate, chunk = bytes.length, limitBytes = Infinity } = weather();
        const late = delayMs + jitterMs > 0;
        if (late) await pause(delayMs + Math.random() * jitterMs);
        for (let at = 0; at < bytes.length; at += chunk) {
          if (weather().lost) {
            this.swallowed += bytes.length - at;
            break;
          }
          const part = bytes.subarray(at, at + chunk);
          if (rate !== undefined) await pause((part.length / rate) * 1_000);
          // To end the reading would end `from`, whose end may be told late.
          if (to.destroyed) break;
          if (!to.write(part)) await new Promise<void>((resolve) => to.once("drain", resolve).once("close", resolve));
          // Counted when it has been passed on: what was held for ever is not late.
          if (late && at === 0) this.delayed += 1;
          if (rate !== undefined) this.throttled += part.length;
          if (at > 0 && at <= chunk) this.split += 1;
          carried += part.length;
          if (carried < limitBytes) continue;
          this.limited += 1;
          from.destroy();
          return;
        }
      }
    } catch {
      // The connection was reset: its end is reported by the close event.
    }
  }
}
