import type { ConnectError } from "@connectrpc/connect";
import { compressionNegotiate } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { grpcStatusOk, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { compressBytesMin, messageBytesMax } from "../limits.ts";
import { gzip } from "./gzip.ts";
import type { Request, Response } from "./http-reply.ts";

// How a unary call and its answer look on the wire, in the two forms in which SDKs send them: the message alone (Connect)
// and the message behind a head of five bytes, with the outcome in the trailers (gRPC). Only what is plain is read.

export interface LeanForm {
  /** The message in what was sent; undefined when it is not simply there. */
  messageIn(body: Uint8Array): Uint8Array | undefined;
  answer(request: Request, response: Response, message: Uint8Array): Promise<void>;
  refuse(request: Request, response: Response, error: ConnectError): void;
}

/** The form of a call; undefined when it is another one, compressed, or not well-formed. */
export function leanFormOf(request: Request): LeanForm | undefined {
  const { method, headers } = request;
  // More than a message may have is refused before it is read.
  const tooLarge = Number(headers["content-length"] ?? 0) > messageBytesMax + headBytes;
  if (method !== "POST" || tooLarge || !isDeadline(headers)) return undefined;
  switch (headers["content-type"]) {
    case "application/proto":
      return isIdentity(headers["content-encoding"]) ? connect : undefined;
    case "application/grpc":
    case "application/grpc+proto":
      return "stream" in request && isIdentity(headers["grpc-encoding"]) ? grpc : undefined;
    default:
      return undefined;
  }
}

/** Whether the call says until when it wants its answer. */
export function hasDeadline({ headers }: Request): boolean {
  return headers["connect-timeout-ms"] !== undefined || headers["grpc-timeout"] !== undefined;
}

function isDeadline(headers: Request["headers"]): boolean {
  const connectTimeout = headers["connect-timeout-ms"] ?? "0";
  const grpcTimeout = headers["grpc-timeout"] ?? "0m";
  return /^\d{1,10}$/.test(`${connectTimeout}`) && /^\d{1,8}[HMSmun]$/.test(`${grpcTimeout}`);
}

function isIdentity(encoding: unknown): boolean {
  return encoding === undefined || encoding === "identity";
}

function compressionOf(accepted: unknown, header: string) {
  return typeof accepted === "string" ? compressionNegotiate([gzip], null, accepted, header).response : null;
}

const connect: LeanForm = {
  messageIn: (body) => body,
  async answer({ headers }, response, message) {
    response.setHeader("content-type", "application/proto");
    const compression =
      message.length < compressBytesMin ? null : compressionOf(headers["accept-encoding"], "accept-encoding");
    if (compression !== null) response.setHeader("content-encoding", compression.name);
    const body = compression === null ? message : await compression.compress(message);
    response.setHeader("content-length", body.length);
    response.end(body);
  },
  refuse(_request, response, error) {
    const body = errorToJsonBytes(error, undefined);
    response.statusCode = codeToHttpStatus(error.code);
    response.setHeader("content-type", "application/json");
    response.setHeader("content-length", body.length);
    response.end(body);
  },
};

/** Of gRPC, before each message: flags, and the length of what follows. */
export const headBytes = 5;
/** What other flags mean nobody has said. */
export const flagCompressed = 1;

const grpc: LeanForm = {
  messageIn(body) {
    if (body.length < headBytes || body[0] !== 0) return undefined;
    const bytes = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(1);
    return body.length === headBytes + bytes ? body.subarray(headBytes) : undefined;
  },
  async answer(request, response, message) {
    const compression = beginGrpc(request, response);
    const compressed = compression !== null && message.length >= compressBytesMin;
    const content = compressed ? await compression.compress(message) : message;
    const body = Buffer.allocUnsafe(headBytes + content.length);
    body[0] = compressed ? flagCompressed : 0;
    body.writeUInt32BE(content.length, 1);
    body.set(content, headBytes);
    response.addTrailers({ "grpc-status": grpcStatusOk });
    response.end(body);
  },
  refuse(request, response, error) {
    beginGrpc(request, response);
    // Headers that also end the stream would leave no room for trailers.
    if ("stream" in response) response.writeHead(response.statusCode);
    const trailers = new Headers();
    setTrailerStatus(trailers, error);
    response.addTrailers(Object.fromEntries(trailers));
    response.end();
  },
};

function beginGrpc({ headers }: Request, response: Response) {
  const compression = compressionOf(headers["grpc-accept-encoding"], "grpc-accept-encoding");
  response.setHeader("content-type", "application/grpc+proto");
  if (compression !== null) response.setHeader("grpc-encoding", compression.name);
  return compression;
}
