import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const patienceMs = 20_000;

/** A request of the client, of which copies may be sent as well. */
interface Asked {
  readonly path: string;
  readonly body: Buffer;
  readonly run: string;
  readonly number: number;
  answered: boolean;
}

function count(by: Record<string, number>, path: string): void {
  const method = path.slice(path.lastIndexOf("/") + 1);
  by[method] = (by[method] ?? 0) + 1;
}
/** A refusal commits nothing, and so does an answer that has waited for work in vain. */
function isCommitted(path: string, status: number, text: Buffer): boolean {
  return status === 200 && (!path.endsWith("/AcquireLease") || text.includes('"assignment"'));
}
/** The run that a request is about. The ledger client asks for a lease with an id that begins with its run. */
function runOf(body: Buffer): string {
  const { lease, runId, requestId } = JSON.parse(body.toString()) as Record<string, string> & {
    lease?: { runId: string };
  };
  return String(lease?.runId ?? runId ?? requestId).split("/")[0] as string;
}

/** Stands between a unary client and the server: loses answers after the server gave them, and repeats requests. */
export class ReplyProxy {
  url = "";
  /** By method: answers given after a commit that the client never saw. */
  readonly lost: Record<string, number> = {};
  /** Other answers that the client never saw: nothing was committed. */
  lostOthers = 0;
  /** By method: requests that were sent again beside the client's own, and answered. */
  readonly repeated: Record<string, number> = {};
  /** Of these: answered before the client's own request was. */
  early = 0;
  /** Of these: sent when a later request for the same run had been answered. */
  late = 0;
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
  #requests = 0;
  /** By run: the number of the latest request that was answered. */
  readonly #latest = new Map<string, number>();

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
    const asked: Asked = { path, body, run: runOf(body), number: ++this.#requests, answered: false };
    for (let copy = Math.floor(Math.random() * (this.copiesMax + 1)); copy > 0; copy--) void this.#repeat(asked);
    if (this.spreadMs > 0) await pause((Math.random() * this.spreadMs) / 4);
    try {
      const { status, text } = await this.#send(path, body);
      asked.answered = true;
      this.#latest.set(asked.run, Math.max(asked.number, this.#latest.get(asked.run) ?? 0));
      if (Math.random() < this.loseShare) {
        if (isCommitted(path, status, text)) count(this.lost, path);
        else this.lostOthers += 1;
        response.socket?.destroy();
        return;
      }
      response.writeHead(status, { "content-type": "application/json" });
      response.end(text);
    } catch {
      response.socket?.destroy();
    }
  }
  async #repeat(asked: Asked): Promise<void> {
    this.#open += 1;
    await pause(Math.random() * this.spreadMs);
    const late = (this.#latest.get(asked.run) ?? 0) > asked.number;
    try {
      await this.#send(asked.path, asked.body);
      count(this.repeated, asked.path);
      if (late) this.late += 1;
      if (!asked.answered) this.early += 1;
    } catch {
      // Nobody knows whether it came to the server: it does not count.
    }
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
        count(this.unanswered, path);
        outgoing.destroy();
      });
      outgoing.end(body);
    });
  }
}
