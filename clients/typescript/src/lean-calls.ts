// Plain unary calls over Connect's protocol, without the generators, abort signals and headers of its transport, which
// take half of a call's processor time. A call with a deadline or a signal goes over that transport.
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { create, type DescMessage, type DescMethod, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { Http2SessionManager } from "@connectrpc/connect-node";
import { codeFromHttpStatus, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";

/** An HTTP/2 connection as plain calls and streams use it. */
export interface LeanConnection {
  readonly sessions: Http2SessionManager;
  pathOf(method: DescMethod): string;
  /** Sent with each request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly readMaxBytes: number;
}

/** `transport` serves what is not plain, over the same connection. */
export function withLeanCalls(transport: Transport, connection: LeanConnection): Transport {
  const headers = { ...connection.headers, "content-type": "application/proto" };
  return {
    stream: (...call) => transport.stream(...call),
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      if (signal !== undefined || timeoutMs !== undefined || header !== undefined)
        return transport.unary(method, signal, timeoutMs, header, input, contextValues);
      const body = toBinary(method.input, create(method.input, input));
      const stream = await connection.sessions
        .request("POST", connection.pathOf(method), headers, {})
        .catch((error: unknown) => Promise.reject(unavailable(error)));
      const { status, type, bytes } = await exchange(stream, body, connection);
      if (status !== 200 || type !== "application/proto") throw refusal(status, type, bytes);
      const message = messageOf(method.output, bytes);
      return { stream: false, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
    },
  };
}

function messageOf<O extends DescMessage>(schema: O, bytes: Uint8Array) {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw ConnectError.from(error, Code.Internal);
  }
}

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly bytes: Uint8Array;
}

/** Rejects with a ConnectError when the stream ends before the whole answer is there. */
function exchange(stream: ClientHttp2Stream, body: Uint8Array, connection: LeanConnection): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let type: string | undefined;
    let promised: string | undefined;
    let bytes = 0;
    let failure: Error | undefined;
    const chunks: Uint8Array[] = [];
    stream.on("response", (received) => {
      status = received[":status"] ?? 0;
      type = mediaTypeOf(received);
      promised = received["content-length"];
    });
    stream.on("data", (chunk: Uint8Array) => {
      connection.sessions.notifyResponseByteRead(stream);
      bytes += chunk.length;
      if (bytes > connection.readMaxBytes) {
        reject(new ConnectError(`the answer is larger than ${connection.readMaxBytes} bytes`, Code.ResourceExhausted));
        stream.close(constants.NGHTTP2_CANCEL);
      } else chunks.push(chunk);
    });
    stream.on("end", () => {
      // Who was refused in the middle of a message need not send the rest of it.
      if (!stream.writableFinished) stream.close(constants.NGHTTP2_NO_ERROR);
      // A stream that was reset ends, too, with any code, and so does one whose connection broke.
      if (status !== 0 && stream.rstCode === 0 && (promised === undefined || bytes === Number(promised)))
        resolve({ status, type, bytes: chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks) });
    });
    stream.on("error", (error) => (failure = error));
    stream.on("close", () => reject(failure === undefined ? resetBy(stream.rstCode ?? 0) : unavailable(failure)));
    stream.end(body);
  });
}

function refusal(status: number, type: string | undefined, bytes: Uint8Array): ConnectError {
  const unknown = new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status));
  return type === "application/json" ? errorFromJsonBytes(bytes, undefined, unknown) : unknown;
}

/** Without parameters, which a proxy may add. */
export function mediaTypeOf(headers: IncomingHttpHeaders): string | undefined {
  return headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
}

/** Canceled is what the client's own end of the connection does. */
export function resetBy(code: number): ConnectError {
  const text = `the stream ended before its answer did (HTTP/2 code ${code})`;
  return new ConnectError(text, code === constants.NGHTTP2_CANCEL ? Code.Canceled : Code.Unavailable);
}

/** Says something about the connection and nothing about the call. */
export function unavailable(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new ConnectError(text, Code.Unavailable, undefined, undefined, error);
}
