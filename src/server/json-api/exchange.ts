import { once } from "node:events";
import type { Engine } from "../../engine/api.ts";
import { type Request, type Response, reply } from "../http-reply.ts";

/** One call of the seed's interface. `id` is the decoded {id} of its path, "" when it has none. */
export interface Exchange {
  readonly engine: Engine;
  readonly request: Request;
  readonly response: Response;
  readonly id: string;
  readonly query: URLSearchParams;
}

/** All workflows of this interface live here. */
export const namespace = "default";
export const queue = "default";

export function answer(exchange: Exchange, value: unknown, status = 200): void {
  reply(exchange.response, status, "application/json", `${JSON.stringify(value)}\n`);
}

export const ok = { status: "ok" };

/** About this much is written at a time. */
const pieceBytes = 64 * 1024;

/**
 * Streams `before`, the values separated by commas, `after`: memory does not grow with the list, and a reader that is
 * slow holds up nobody but itself. `after` is asked when all values are out.
 */
export async function answerList(
  { response }: Exchange,
  values: AsyncIterable<unknown>,
  before: string,
  after: () => string,
): Promise<void> {
  const stream = response as NodeJS.WritableStream & { destroyed: boolean };
  let piece = before;
  let first = true;
  async function write(): Promise<void> {
    const fits = stream.write(piece);
    piece = "";
    if (!fits && !stream.destroyed) await Promise.race([once(stream, "drain"), once(stream, "close")]);
  }
  for await (const value of values) {
    if (first) begin(response);
    piece += first ? JSON.stringify(value) : `,${JSON.stringify(value)}`;
    first = false;
    if (piece.length < pieceBytes) continue;
    if (stream.destroyed) return;
    await write();
  }
  if (first) begin(response);
  piece += after();
  stream.end(piece);
}

function begin(response: Response): void {
  response.statusCode = 200;
  response.setHeader("content-type", "application/json");
  response.setHeader("cache-control", "no-store");
}
