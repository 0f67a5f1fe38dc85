import { requestsPerTurn } from "../limits.ts";
import { hasGone, type Request, type Response } from "./http-reply.ts";

// Who sends a thousand requests at once must not keep the others waiting until the last of them has begun. In one turn
// of the event loop a bounded number begins; the others wait for the next turns, and there each connection begins one
// before any begins another. A request whose caller has gone meanwhile never begins.

type Handler = (request: Request, response: Response) => void;

interface Line {
  readonly requests: { request: Request; response: Response }[];
  next: number;
}

export function takeTurns(handler: Handler): Handler {
  /** Lines of the connections that wait, the next one first. */
  const lines = new Map<object, Line>();
  let begun = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(turn);
  }
  function turn(): void {
    scheduled = false;
    begun = 0;
    for (const [connection, line] of lines) {
      if (begun === requestsPerTurn) break;
      lines.delete(connection);
      const { request, response } = line.requests[line.next++] as Line["requests"][number];
      // At the end again: the loop comes by when it has been at the others.
      if (line.next < line.requests.length) lines.set(connection, line);
      if (hasGone(request)) continue;
      begun += 1;
      handler(request, response);
    }
    if (begun > 0 || lines.size > 0) schedule();
  }

  return (request, response) => {
    if (begun < requestsPerTurn && lines.size === 0) {
      begun += 1;
      schedule();
      return handler(request, response);
    }
    const connection = connectionOf(request);
    const line = lines.get(connection);
    if (line === undefined) lines.set(connection, { requests: [{ request, response }], next: 0 });
    else line.requests.push({ request, response });
  };
}

function connectionOf(request: Request): object {
  return "stream" in request ? (request.stream.session ?? request.stream) : request.socket;
}
