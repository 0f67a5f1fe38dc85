import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Log } from "../engine/telemetry.ts";
import { connectErrorOf, toConnectError } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { unreadable } from "./unreadable.ts";

// The edge of every call: what was thrown becomes an answer here and nowhere else, bugs of ours are logged, calls are
// counted. Nothing of a request or response is logged: they hold users' data and leases.

export interface Edge {
  /** For calls that Connect serves. */
  readonly interceptor: Interceptor;
  /** One unary call, and what `encode` makes of its answer; throws only ConnectErrors. */
  unary<T, Encoded>(method: EdgeMethod, call: () => Promise<T>, encode: (answer: T) => Encoded): Promise<Encoded>;
  /** A stream of this method has begun, for example "everstep.v1.WorkerService/Session". One of what it gives is called when it is over. */
  stream(method: string): StreamEdge;
}

export interface EdgeMethod {
  /** For example "everstep.v1.RunService/GetRun". */
  readonly name: string;
  /** It brings nothing about. */
  readonly readsOnly: boolean;
}

export function edgeMethodOf({ parent, name, idempotency }: DescMethod): EdgeMethod {
  const readsOnly = idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return { name: `${parent.typeName}/${name}`, readsOnly };
}

export interface StreamEdge {
  ended(): void;
  /** Gives what its caller is told. */
  failed(thrown: unknown): ConnectError;
  /** Its caller has gone. */
  cut(): void;
}

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

export function createEdge(log: Log, metrics: Metrics): Edge {
  function convert(method: string, thrown: unknown): ConnectError {
    const error = toConnectError(thrown, (bug, id) =>
      log.error({ err: bug, method, errorId: id }, "a call failed inside the server"),
    );
    const refusal = unreadable(error);
    return refusal === undefined ? error : connectErrorOf(refusal);
  }
  async function unary<T, Encoded>(
    { name, readsOnly }: EdgeMethod,
    call: () => Promise<T>,
    encode: (answer: T) => Encoded,
  ) {
    const startedAt = performance.now();
    const ended = (code: string) => metrics.countCall(name, code, (performance.now() - startedAt) / 1_000);
    try {
      const answer = await call();
      if (!readsOnly) await framesFirst();
      const encoded = encode(answer);
      ended("ok");
      return encoded;
    } catch (thrown) {
      const error = convert(name, thrown);
      ended(codeName(error.code));
      throw error;
    }
  }
  function stream(method: string): StreamEdge {
    metrics.streamOpened(method);
    const over = (code: string) => {
      metrics.streamClosed(method);
      metrics.countCall(method, code, undefined);
    };
    return {
      ended: () => over("ok"),
      failed(thrown) {
        const error = convert(method, thrown);
        over(codeName(error.code));
        return error;
      },
      cut: () => over(codeName(Code.Canceled)),
    };
  }
  const interceptor: Interceptor = (next) => async (request) => {
    const method = edgeMethodOf(request.method);
    if (request.method.methodKind === "unary")
      return unary(
        method,
        () => next(request),
        (response) => response,
      );
    const begun = await next(request).catch((thrown: unknown) => {
      const error = convert(method.name, thrown);
      metrics.countCall(method.name, codeName(error.code), undefined);
      throw error;
    });
    if (!begun.stream) throw new Error(`${method.name} has one answer and is no unary call`);
    return { ...begun, message: watched(begun.message, stream(method.name)) };
  };
  return { interceptor, unary, stream };
}

async function* watched<T>(messages: AsyncIterable<T>, edge: StreamEdge): AsyncGenerator<T> {
  let over: () => void = edge.cut;
  try {
    for await (const message of messages) yield message;
    over = edge.ended;
  } catch (thrown) {
    over = () => {};
    throw edge.failed(thrown);
  } finally {
    over();
  }
}

/** As the protocols spell it, for example "not_found". */
export function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
}
