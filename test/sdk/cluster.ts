// A real engine and server in this process, and a proxy in front of it whose connections a test can cut.
import { type AddressInfo, createServer as createTcpServer, connect, type Server, type Socket } from "node:net";
import { Client } from "../../clients/typescript/src/client.ts";
import { Worker, type WorkerOptions } from "../../clients/typescript/src/worker.ts";
import { createEngine, createServer } from "../../src/index.ts";

export class Cluster {
  readonly #closers: (() => unknown)[] = [];
  readonly #sockets = new Set<Socket>();
  #proxy: Server | undefined;
  #options!: { leaseTtlMs?: number; path: string };
  #port = 0;
  #stopServer: () => Promise<void> = async () => {};
  proxyUrl = "";
  client!: Client;

  static async start(options: { leaseTtlMs?: number; path?: string } = {}): Promise<Cluster> {
    const cluster = new Cluster();
    cluster.#options = { path: ":memory:", ...options };
    await cluster.#startServer();
    cluster.#closers.push(() => cluster.#stopServer());
    await cluster.#startProxy();
    cluster.client = new Client({ address: cluster.proxyUrl });
    cluster.#closers.push(() => cluster.client.close());
    return cluster;
  }

  async #startServer(): Promise<void> {
    const engine = await createEngine(this.#options);
    const server = createServer(engine, { port: 0 });
    const { port } = await server.listen();
    this.#port = port;
    this.#stopServer = async () => {
      await server.close(100);
      await engine.stop();
    };
  }

  /** Stops server and engine, and starts both anew on the same file. */
  async restart(): Promise<void> {
    await this.#stopServer();
    await this.#startServer();
  }

  async #startProxy(): Promise<void> {
    const proxy = createTcpServer((inner) => {
      const outer = connect(this.#port, "127.0.0.1");
      for (const socket of [inner, outer]) {
        this.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          this.#sockets.delete(socket);
          inner.destroy();
          outer.destroy();
        });
      }
      inner.pipe(outer).pipe(inner);
    });
    this.#proxy = proxy;
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    this.proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  }

  /** Cuts every connection that goes through the proxy. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  worker(options: Omit<WorkerOptions, "address">): Worker {
    const worker = new Worker({ address: this.proxyUrl, log: () => {}, ...options }).start();
    this.#closers.push(() => worker.close());
    return worker;
  }

  async stop(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    this.cut();
    this.#proxy?.close();
  }
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const endAtMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > endAtMs) throw new Error("the condition did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
