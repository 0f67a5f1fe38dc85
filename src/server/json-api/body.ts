import { EngineError, refuse } from "../../core/errors.ts";
import { type Payload, utf8Length } from "../../core/payload.ts";
import { durationMsMax, messageBytesMax, nameBytesMax } from "../../limits.ts";
import type { Request } from "../http-reply.ts";
import { checkPlain, checkText, invalid } from "../validate.ts";
import { compact, JsonFault, membersOf } from "./json-text.ts";

// Bodies of the seed's interface: one JSON object, whose fields are read by name and type. A field that is missing or
// of another type is refused with its name; one that nobody asks for is ignored.

/** Names of its members, and the JSON text of each. */
export type Body = ReadonlyMap<string, string>;

export function tooLarge(): EngineError {
  return new EngineError(refuse("PAYLOAD_TOO_LARGE", `the body is larger than ${messageBytesMax} bytes, the limit`));
}

export async function readBody(request: Request): Promise<Body> {
  if (Number(request.headers["content-length"] ?? 0) > messageBytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > messageBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw invalid("body", "is not UTF-8");
  }
  const body = membersIn(text);
  if (body === undefined) throw invalid("body", "must be a JSON object");
  return body;
}

function membersIn(text: string): Body | undefined {
  try {
    return membersOf(text);
  } catch (error) {
    if (error instanceof JsonFault) throw invalid("body", `is not JSON: ${error.message}`);
    throw error;
  }
}

/** The text of a member; undefined when it is null or not there. */
function given(body: Body, field: string): string | undefined {
  const text = body.get(field);
  return text === "null" ? undefined : text;
}

export function textOf(body: Body, field: string, bytesMax = nameBytesMax): string {
  const text = given(body, field);
  if (text === undefined) throw invalid(field, "is missing");
  if (!text.startsWith('"')) throw invalid(field, "must be a text");
  // Half of a character cannot be stored; it becomes what the seed made of it.
  return checkText(field, (JSON.parse(text) as string).toWellFormed(), 1, bytesMax);
}

export function nameOf(body: Body, field: string): string {
  return checkPlain(field, textOf(body, field));
}

export function optionalTextOf(body: Body, field: string): string {
  const text = given(body, field);
  return text === undefined || text === '""' ? "" : textOf(body, field);
}

export function integerOf(body: Body, field: string, min: number, max: number): number {
  const text = given(body, field);
  if (text === undefined) throw invalid(field, "is missing");
  const number = /^[-0-9]/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw invalid(field, "must be an integer");
  if (number < min || number > max) throw invalid(field, `is ${number}, the range is ${min} to ${max}`);
  return number === 0 ? 0 : number;
}

export function optionalIntegerOf(body: Body, field: string, min: number, max: number): number {
  return given(body, field) === undefined ? 0 : integerOf(body, field, min, max);
}

/** Whole seconds, as milliseconds; absent means 0. */
export function secondsOf(body: Body, field: string): number {
  return optionalIntegerOf(body, field, 0, durationMsMax / 1_000) * 1_000;
}

/** Any JSON value as a payload; null and absent are none. */
export function payloadOf(body: Body, field: string, bytesMax: number): Payload | undefined {
  const text = given(body, field);
  if (text === undefined) return undefined;
  const data = compact(text);
  const bytes = utf8Length(data);
  if (bytes > bytesMax) {
    throw new EngineError(
      refuse("PAYLOAD_TOO_LARGE", `${field} has ${bytes} bytes, the limit is ${bytesMax}`, { field }),
    );
  }
  return { data, encoding: "" };
}
