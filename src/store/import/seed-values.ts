import type { Payload } from "../../core/payload.ts";
import type { SeedText } from "./seed-tables.ts";

// What the seed keeps as text, read.

export function textOf(text: SeedText): string | null {
  return text instanceof Uint8Array ? Buffer.from(text).toString("utf8") : text;
}

/** As it is when it is JSON; as bytes, which carry anything, when it is not. */
export function payloadOf(text: SeedText): { payload: Payload | undefined; isJson: boolean } {
  const data = textOf(text);
  if (data === null) return { payload: undefined, isJson: true };
  try {
    JSON.parse(data);
    return { payload: { data, encoding: "" }, isJson: true };
  } catch {
    return { payload: { data: Buffer.from(data, "utf8"), encoding: "" }, isJson: false };
  }
}

/** The fields of an event's payload; none when it has none or is no object. */
export function fieldsOf(text: SeedText): Readonly<Record<string, unknown>> {
  const data = textOf(text);
  if (data === null) return {};
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The step key of a step number; undefined when it is no integer. */
export function stepKeyOf(number: unknown): string | undefined {
  return Number.isSafeInteger(number) ? String(number) : undefined;
}
