import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { messageBytesMax } from "../limits.ts";

// Answers that need no RPC router.

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

/** Node's compatible requests and responses over an HTTP/2 stream do not say it themselves. */
export function hasGone(one: Request | Response): boolean {
  return "stream" in one ? one.stream.destroyed : one.destroyed;
}

export function reply(response: Response, status: number, type: string, body: string): void {
  if (response.headersSent || response.destroyed) return;
  response.statusCode = status;
  response.setHeader("content-type", type);
  response.setHeader("content-length", Buffer.byteLength(body));
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  endWith(response, body);
}

export function replyJson(response: Response, status: number, value: unknown): void {
  reply(response, status, "application/json", `${JSON.stringify(value)}\n`);
}

/** Refuses a call before anything of it was read, in the words of its protocol. */
export function replyError(request: Request, response: Response, status: number, error: ConnectError): void {
  if (/^application\/grpc(\+|;|$)/.test(request.headers["content-type"] ?? "")) {
    const headers = new Headers({ "content-type": "application/grpc" });
    setTrailerStatus(headers, error);
    for (const [name, value] of headers) response.setHeader(name, value);
    endWith(response, "");
    return;
  }
  if (status === 401) response.setHeader("www-authenticate", "Bearer");
  replyJson(response, status, errorToJson(error, undefined));
}

/** Of a body that nobody wants this much is read and thrown away, so that one somewhat too large is told so; then the connection goes. */
const unwantedBodyBytesMax = 2 * messageBytesMax;

/**
 * Ends the answer and the exchange with it. Over HTTP/1.1 the rest of the body is read: a client that is still writing
 * when the connection closes learns of a broken pipe and not of the answer.
 */
function endWith(response: Response, body: string): void {
  if (!("stream" in response)) {
    const { req } = response;
    let left = unwantedBodyBytesMax;
    req.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) req.destroy();
    });
    response.end(body);
    return;
  }
  const { stream } = response;
  // Without a body the headers end the stream: a gRPC status in headers counts only then (Trailers-Only).
  if (body === "") response.end();
  else response.end(body);
  response.once("finish", () => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
