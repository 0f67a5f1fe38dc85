import { EngineError, refuse } from "../../core/errors.ts";
import { type Payload, utf8Length } from "../../core/payload.ts";
import { durationMsMax, messageBytesMax, nameBytesMax } from "../../limits.ts";
import type { Request } from "../http-reply.ts";
import { checkPlain, checkText, invalid } from "../validate.ts";

// Bodies of the seed's interface: one JSON object, whose fields are read by name and type. A field that is missing or
// of another type is refused with its name; one that nobody asks for is ignored.

export type Body = Readonly<Record<string, unknown>>;

/** A number that JavaScript cannot hold: its text goes through unchanged. */
interface RawJson {
  readonly rawJSON: string;
}
declare global {
  interface JSON {
    rawJSON(text: string): RawJson;
    isRawJSON(value: unknown): value is RawJson;
  }
}

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
  let value: unknown;
  try {
    value = JSON.parse(text, keepNumber as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw invalid("body", `is not JSON: ${(error as Error).message.slice(0, 120)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value) || JSON.isRawJSON(value)) {
    throw invalid("body", "must be a JSON object");
  }
  return value as Body;
}

function keepNumber(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  const { source } = context;
  if (typeof value !== "number" || source === undefined || source === String(value)) return value;
  return JSON.rawJSON(source);
}

function own(body: Body, field: string): unknown {
  return Object.hasOwn(body, field) ? body[field] : undefined;
}

export function textOf(body: Body, field: string, bytesMax = nameBytesMax): string {
  const value = own(body, field);
  if (value === undefined || value === null) throw invalid(field, "is missing");
  if (typeof value !== "string") throw invalid(field, "must be a text");
  // Half of a character cannot be stored; it becomes what the seed made of it.
  return checkText(field, value.toWellFormed(), 1, bytesMax);
}

export function nameOf(body: Body, field: string): string {
  return checkPlain(field, textOf(body, field));
}

export function optionalTextOf(body: Body, field: string): string {
  const value = own(body, field);
  return value === undefined || value === null || value === "" ? "" : textOf(body, field);
}

export function integerOf(body: Body, field: string, min: number, max: number): number {
  const value = own(body, field);
  if (value === undefined || value === null) throw invalid(field, "is missing");
  const number = JSON.isRawJSON(value) ? Number(value.rawJSON) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) throw invalid(field, "must be an integer");
  if (number < min || number > max) throw invalid(field, `is ${number}, the range is ${min} to ${max}`);
  return number === 0 ? 0 : number;
}

export function optionalIntegerOf(body: Body, field: string, min: number, max: number): number {
  const value = own(body, field);
  return value === undefined || value === null ? 0 : integerOf(body, field, min, max);
}

/** Whole seconds, as milliseconds; absent means 0. */
export function secondsOf(body: Body, field: string): number {
  return optionalIntegerOf(body, field, 0, durationMsMax / 1_000) * 1_000;
}

/** Any JSON value as a payload; null and absent are none. */
export function payloadOf(body: Body, field: string, bytesMax: number): Payload | undefined {
  const value = own(body, field);
  if (value === undefined || value === null) return undefined;
  const data = JSON.stringify(value);
  const bytes = utf8Length(data);
  if (bytes > bytesMax) {
    throw new EngineError(
      refuse("PAYLOAD_TOO_LARGE", `${field} has ${bytes} bytes, the limit is ${bytesMax}`, { field }),
    );
  }
  return { data, encoding: "" };
}
