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
}

const fair: Weather = {};

/** Stands between a worker and the server and passes bytes on, as well as the weather of each direction lets it. */
export class FaultProxy {
  url = "";
  /** Bytes that were swallowed: the proof that something was lost. */
  swallowed = 0;
  connections = 0;
  toServer: Weather = fair;
  toWorker: Weather = fair;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((inner) => {
      this.connections += 1;
      const outer = connect(Number(port), hostname);
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
  get open(): number {
    return this.#sockets.size / 2;
  }
  clear(): void {
    this.toServer = fair;
    this.toWorker = fair;
  }
  /** Ends every connection with a reset. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
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
      if (!weather().lost) to.destroy();
    };
    from.on("error", over);
    from.on("close", over);
    void this.#carry(from, to, weather);
  }

  async #carry(from: Socket, to: Socket, weather: () => Weather): Promise<void> {
    try {
      for await (const bytes of from as AsyncIterable<Buffer>) {
        const { delayMs = 0, jitterMs = 0, rate, chunk = bytes.length } = weather();
        if (delayMs + jitterMs > 0) await pause(delayMs + Math.random() * jitterMs);
        for (let at = 0; at < bytes.length; at += chunk) {
          if (weather().lost) {
            this.swallowed += bytes.length - at;
            break;
          }
          const part = bytes.subarray(at, at + chunk);
          if (rate !== undefined) await pause((part.length / rate) * 1_000);
          if (to.destroyed) return;
          if (!to.write(part)) await new Promise<void>((resolve) => to.once("drain", resolve).once("close", resolve));
        }
      }
    } catch {
      // The connection was reset: its end is reported by the close event.
    }
  }
}
