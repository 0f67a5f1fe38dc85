import { Code, type ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Log } from "../engine/telemetry.ts";
import { connectErrorOf, toConnectError } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { unreadable } from "./unreadable.ts";

// The edge of every call: what was thrown becomes an answer here and nowhere else, bugs of ours are logged, calls are
// counted. Nothing of a request or response is logged: they hold users' data and leases.

/** One for all calls that end in this turn of the event loop. */
let turnsEnd: Promise<void> | undefined;

/**
 * What a call brought about is on its way to a worker when this ends: sessions write their frames in the turn of the
 * event loop in which they come, the transport sends them at its end, and answering a call takes as long as all of that.
 */
function framesFirst(): Promise<void> {
  turnsEnd ??= new Promise((resolve) =>
    setImmediate(() => {
      turnsEnd = undefined;
      resolve();
    }),
  );
  return turnsEnd;
}

export function createEdge(log: Log, metrics: Metrics): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const report = (thrown: unknown, id: string) =>
      log.error({ err: thrown, method, errorId: id }, "a call failed inside the server");
    const convert = (thrown: unknown) => {
      const error = toConnectError(thrown, report);
      const refusal = unreadable(error);
      return refusal === undefined ? error : connectErrorOf(refusal);
    };
    const startedAt = performance.now();
    const unary = request.method.methodKind === "unary";
    const ended = (code: string) =>
      metrics.countCall(method, code, unary ? (performance.now() - startedAt) / 1_000 : undefined);
    try {
      const response = await next(request);
      if (!response.stream) {
        await framesFirst();
        ended("ok");
        return response;
      }
      metrics.streamOpened(method);
      const done = (code: string) => {
        metrics.streamClosed(method);
        ended(code);
      };
      return { ...response, message: watched(response.message, convert, done) };
    } catch (thrown) {
      const error = convert(thrown);
      ended(codeName(error.code));
      throw error;
    }
  };
}

async function* watched<T>(
  messages: AsyncIterable<T>,
  convert: (thrown: unknown) => ConnectError,
  done: (code: string) => void,
): AsyncGenerator<T> {
  let code = codeName(Code.Canceled);
  try {
    for await (const message of messages) yield message;
    code = "ok";
  } catch (thrown) {
    const error = convert(thrown);
    code = codeName(error.code);
    throw error;
  } finally {
    done(code);
  }
}

/** As the protocols spell it, for example "not_found". */
export function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
}
