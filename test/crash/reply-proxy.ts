import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const patienceMs = 20_000;

/** Stands between a unary client and the server: loses answers after the server gave them, and repeats requests. */
export class ReplyProxy {
  url = "";
  /** By method: answers that the server had given and the client never saw. */
  readonly lost: Record<string, number> = {};
  /** By method: requests that were sent again beside the client's own. */
  readonly repeated: Record<string, number> = {};
  /** By method: requests that the server did not answer within `patienceMs`. */
  readonly unanswered: Record<string, number> = {};
  /** Share of answers to lose. */
  loseShare = 0;
  /** Copies of a request: each one is sent 0 to this many times more, up to `spreadMs` before or after the client's. */
  copiesMax = 0;
  spreadMs = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #server: Server;
  readonly #target: string;
  #open = 0;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((incoming, response) => void this.#handle(incoming, response));
  }
  static async start(target: string): Promise<ReplyProxy> {
    const proxy = new ReplyProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`;
    return proxy;
  }
  /** No copy is under way any more. */
  get idle(): boolean {
    return this.#open === 0;
  }
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const path = incoming.url ?? "/";
    const method = path.slice(path.lastIndexOf("/") + 1);
    for (let copy = Math.floor(Math.random() * (this.copiesMax + 1)); copy > 0; copy--)
      void this.#repeat(path, method, body);
    if (this.spreadMs > 0) await pause((Math.random() * this.spreadMs) / 4);
    try {
      const { status, text } = await this.#send(path, body);
      if (Math.random() < this.loseShare) {
        this.lost[method] = (this.lost[method] ?? 0) + 1;
        response.socket?.destroy();
        return;
      }
      response.writeHead(status, { "content-type": "application/json" });
      response.end(text);
    } catch {
      response.socket?.destroy();
    }
  }
  async #repeat(path: string, method: string, body: Buffer): Promise<void> {
    this.#open += 1;
    await pause(Math.random() * this.spreadMs);
    await this.#send(path, body).catch(() => {});
    this.repeated[method] = (this.repeated[method] ?? 0) + 1;
    this.#open -= 1;
  }
  #send(path: string, body: Buffer): Promise<{ status: number; text: Buffer }> {
    return new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": body.length };
      const outgoing = request(`${this.#target}${path}`, { method: "POST", headers, agent: this.#agent }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 500, text: Buffer.concat(chunks) }));
        answer.on("error", reject);
      });
      outgoing.on("error", reject);
      outgoing.setTimeout(patienceMs, () => {
        const method = path.slice(path.lastIndexOf("/") + 1);
        this.unanswered[method] = (this.unanswered[method] ?? 0) + 1;
        outgoing.destroy();
      });
      outgoing.end(body);
    });
  }
}
