import { Code, ConnectError } from "@connectrpc/connect";
import { createAsyncIterable, readAllBytes, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorFromJsonBytes, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { type Refusal, refuse } from "../core/errors.ts";
import { messageBytesMax } from "../limits.ts";
import { connectErrorOf } from "./errors.ts";

// A message that cannot be read never reaches our services: Connect answers for itself, with INTERNAL when the bytes
// are no message (a text that is no UTF-8, for example). It is the caller's mistake, and here the caller is told so.

/** How Connect's texts begin when it calls INTERNAL what only the sender can have done. */
const ofTheSender = ["parse binary: ", "received compressed envelope, but do not know how to decompress"];

/** What is wrong with the message; undefined when the error is about something else. */
export function unreadable(error: ConnectError): Refusal | undefined {
  if (error.details.length > 0) return undefined;
  const text = error.rawMessage.slice(0, 200);
  switch (error.code) {
    case Code.ResourceExhausted:
      return refuse("PAYLOAD_TOO_LARGE", `the message is larger than ${messageBytesMax} bytes, the limit`);
    case Code.InvalidArgument:
      return refuse("INVALID", `the message cannot be read: ${text}`);
    case Code.Internal:
      return ofTheSender.some((start) => text.startsWith(start))
        ? refuse("INVALID", `the message cannot be read: ${text}`)
        : undefined;
    default:
      return undefined;
  }
}

/** Gives the answer to a message that could not be read its reason. Of unary calls: streams pass the interceptor. */
export async function withReason(answer: UniversalServerResponse): Promise<UniversalServerResponse> {
  const { status, header, body, trailer } = answer;
  if (trailer !== undefined) {
    const error = findTrailerError(trailer);
    const refusal = error && unreadable(error);
    if (refusal !== undefined) setTrailerStatus(trailer, connectErrorOf(refusal));
    return answer;
  }
  if (status < 400 || body === undefined || header?.get("content-type") !== "application/json") return answer;
  const bytes = await readAllBytes(body, messageBytesMax);
  const error = errorFromJsonBytes(bytes, undefined, new ConnectError("", Code.Unknown));
  const refusal = unreadable(error);
  if (refusal === undefined) return { ...answer, body: createAsyncIterable([bytes]) };
  const named = connectErrorOf(refusal);
  const json = errorToJsonBytes(named, undefined);
  header.set("content-length", `${json.length}`);
  return { ...answer, status: codeToHttpStatus(named.code), body: createAsyncIterable([json]) };
}
