import { constants } from "node:http2";
import { create, type DescMessage, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { ConnectError, ConnectRouter, ContextValues, ServiceImpl } from "@connectrpc/connect";
import { messageBytesMax, requestReadMsMax } from "../limits.ts";
import type { CallContext } from "./call.ts";
import { hasGone, type Request, type Response } from "./http-reply.ts";
import { Gathered } from "./gathered.ts";
import { type Edge, type EdgeMethod, edgeMethodOf } from "./interceptor.ts";
import { hasDeadline, headBytes, type LeanForm, leanFormOf } from "./lean-forms.ts";

// Unary calls as SDKs send them: over Connect's protocol or gRPC, protobuf, not compressed. Connect's own handlers, which
// serve every form of every protocol, take several times the processor time for each, and with it the time from a start
// or a signal to the worker (bench/README, signal). Here the plain ones are read and answered; whatever is not plain goes
// to Connect, with the body that was read, so that there is one place that says what is wrong with a message.

export interface LeanCalls {
  /** Takes the call when it looks plain, and gives it back by `otherwise` with what it read when it is not. */
  handle(path: string, exchange: Exchange): boolean;
}

export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly values: ContextValues;
  readonly otherwise: (body: Uint8Array) => void;
  /** The caller has gone, or the answer could not be written. */
  readonly failed: (error: unknown) => void;
}

/** A service and what implements it. */
export interface Service {
  readonly methods: readonly Method[];
  /** Has Connect serve it, too. */
  route(router: ConnectRouter): void;
}

interface Method extends EdgeMethod {
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly call: Call;
  /** It asks for its context, to end when its caller has gone or its deadline has passed. */
  readonly waits: boolean;
}

/** An implementation may take no more of its context than CallContext: the rest is there only behind Connect. */
type Call = (request: Message, context: CallContext) => Promise<Fields> | Fields;
type Fields = Record<string, unknown>;

export function serviceOf<S extends DescService>(service: S, implementation: ServiceImpl<S>): Service {
  const calls = implementation as object as Readonly<Record<string, Call>>;
  const methods = service.methods
    .filter(({ methodKind }) => methodKind === "unary")
    .map((method) => {
      const call = calls[method.localName] as Call;
      return { ...edgeMethodOf(method), input: method.input, output: method.output, call, waits: call.length > 1 };
    });
  return { methods, route: (router) => router.service(service, implementation) };
}

export function createLeanCalls(services: readonly Service[], edge: Edge): LeanCalls {
  const methods = new Map(services.flatMap((service) => service.methods).map((method) => [`/${method.name}`, method]));

  async function serve(method: Method, form: LeanForm, exchange: Exchange): Promise<void> {
    const { request, response, values, otherwise } = exchange;
    const body = await readBody(request);
    const input = messageOf(method.input, form.messageIn(body));
    if (input === undefined) return otherwise(body);
    const call = edge.unary(
      method,
      async () => method.call(input, new LeanContext(response, values)),
      (output) => toBinary(method.output, create(method.output, output)),
    );
    const answer = await call.then(
      (message) => () => form.answer(request, response, message),
      (error: ConnectError) => () => form.refuse(request, response, error),
    );
    if (!hasGone(response)) await answer();
  }

  return {
    handle(path, exchange) {
      const method = methods.get(path);
      const form = leanFormOf(exchange.request);
      if (method === undefined || form === undefined) return false;
      // Who waits is told when its time is over; the others are answered as soon as can be, whatever time they have.
      if (method.waits && hasDeadline(exchange.request)) return false;
      serve(method, form, exchange).catch(exchange.failed);
      return true;
    },
  };
}

function messageOf(schema: DescMessage, bytes: Uint8Array | undefined): Message | undefined {
  if (bytes === undefined || bytes.length > messageBytesMax) return undefined;
  try {
    return fromBinary(schema, bytes);
  } catch {
    return undefined;
  }
}

/**
 * Most calls never ask for their signal, and making one costs as much as reading the message. A class: for a getter in an
 * object's literal V8 makes a hidden class for each object, in the old generation, where it keeps the call until all of
 * the heap is collected.
 */
class LeanContext implements CallContext {
  readonly values: ContextValues;
  readonly #response: Response;
  #gone: AbortController | undefined;

  constructor(response: Response, values: ContextValues) {
    this.values = values;
    this.#response = response;
  }
  get signal(): AbortSignal {
    if (this.#gone !== undefined) return this.#gone.signal;
    const gone = new AbortController();
    this.#gone = gone;
    if (hasGone(this.#response)) gone.abort();
    else this.#response.once("close", () => gone.abort());
    return gone.signal;
  }
}

/** Reads until there is more than a message may have; rejects when the caller has gone. */
function readBody(request: Request): Promise<Uint8Array> {
  // Not the compatible request over an HTTP/2 stream: it would copy each event of it.
  const source = "stream" in request ? request.stream : request;
  return new Promise((resolve, reject) => {
    const gathered = new Gathered();
    // HTTP/1.1 has the same bound in its server.
    const cut = () => "stream" in request && request.stream.close(constants.NGHTTP2_CANCEL);
    const timer = setTimeout(cut, requestReadMsMax);
    function onData(chunk: Uint8Array): void {
      gathered.add(chunk);
      if (gathered.length <= messageBytesMax + headBytes) return;
      // The rest stays with its sender, who is told by Connect's handler: cut off in the middle of its message, many a
      // client would tell its user of a broken connection.
      source.pause();
      onEnd();
    }
    // A copy: what is read of it may be kept for long, and the room that was doubled in vain would be kept with it.
    const onEnd = () => settle(() => resolve(gathered.bytes.slice()));
    const onGone = () => settle(() => reject(new Error("the caller has gone before its message was read")));
    function settle(tell: () => void): void {
      clearTimeout(timer);
      source.off("data", onData).off("end", onEnd).off("close", onGone).off("aborted", onGone);
      tell();
    }
    source.on("data", onData).on("end", onEnd).on("close", onGone).on("aborted", onGone);
  });
}
