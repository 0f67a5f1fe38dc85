import { EngineError, refuse } from "../core/errors.ts";
import { utf8Length } from "../core/payload.ts";
import * as limits from "../limits.ts";

// Every bound of what comes over the wire. A violation throws EngineError with the field and the limit in words, so
// that the caller of a unary call and the sender of an op get the same refusal.

export function invalid(field: string, text: string): EngineError {
  return new EngineError(refuse("INVALID", `${field} ${text}`, { field }));
}

/** The same refusal with its field seen from further out, for example "changes[3].step_key". */
export function prefixed(error: unknown, prefix: string): unknown {
  if (!(error instanceof EngineError)) return error;
  const { refusal } = error;
  const { field, message } = refusal;
  const text = field !== "" && message.startsWith(field) ? prefix + message : `${prefix}${field}: ${message}`;
  return new EngineError({ ...refusal, field: prefix + field, message: text });
}

/** Runs `convert` for a nested message: refusals get its name before their field. */
export function nested<T>(name: string, convert: () => T): T {
  try {
    return convert();
  } catch (error) {
    throw prefixed(error, `${name}.`);
  }
}

/** Converts each item of a repeated field; a refusal names the index. */
export function each<A, B>(name: string, items: readonly A[], convert: (item: A) => B): B[] {
  const result: B[] = new Array(items.length);
  let index = 0;
  try {
    for (; index < items.length; index++) result[index] = convert(items[index] as A);
  } catch (error) {
    throw prefixed(error, `${name}[${index}].`);
  }
  return result;
}

export function checkText(field: string, value: string, bytesMin: number, bytesMax: number): string {
  if (value.length === 0 && bytesMin > 0) throw invalid(field, "is missing");
  // A UTF-16 unit takes at most three bytes: most texts need no count.
  const bytes = value.length * 3 <= bytesMax && value.length >= bytesMin ? value.length : utf8Length(value);
  if (bytes > bytesMax) throw invalid(field, `has ${bytes} bytes, the limit is ${bytesMax}`);
  if (bytes < bytesMin) throw invalid(field, `has ${bytes} bytes, at least ${bytesMin} are needed`);
  return value;
}

export function checkInt(field: string, value: bigint | number, min: number, max: number): number {
  const number = Number(value);
  if (number >= min && number <= max && Number.isInteger(number)) return number;
  throw invalid(field, `is ${value}, the range is ${min} to ${max}`);
}

export function checkDuration(field: string, value: bigint): number {
  return checkInt(field, value, 0, limits.durationMsMax);
}

export function checkCount(field: string, count: number, min: number, max: number): void {
  if (count < min) throw invalid(field, `has ${count} entries, at least ${min} are needed`);
  if (count > max) throw invalid(field, `has ${count} entries, the limit is ${max}`);
}

const controlCharacter = /\p{Cc}/u;

/** The engine and its logs put names side by side: none may hold what stands between them. */
export function checkPlain(field: string, value: string): string {
  if (controlCharacter.test(value)) throw invalid(field, "has a control character");
  return value;
}

export const checkNamespace = (value: string) => nameOrDefault("namespace", value);

export function nameOrDefault(field: string, value: string): string {
  return value === "" ? "default" : checkName(field, value);
}

export function checkName(field: string, value: string): string {
  return checkPlain(field, checkText(field, value, 1, limits.nameBytesMax));
}

/** A name that may be left out. */
export function checkOptionalName(field: string, value: string): string {
  return checkPlain(field, checkText(field, value, 0, limits.nameBytesMax));
}

/** Any text but control characters: `../x`, `__proto__` and emoji are ids like others. */
export function checkRunId(value: string, field = "run_id"): string {
  return checkPlain(field, checkText(field, value, 1, limits.runIdBytesMax));
}

export function checkRunKey(value: string): string {
  return checkPlain("run_key", checkText("run_key", value, 0, limits.runKeyBytesMax));
}

export function checkStepKey(value: string, field = "step_key"): string {
  return checkText(field, value, 1, limits.stepKeyBytesMax);
}

export function checkRequestId(value: string): string {
  return checkOptionalName("request_id", value);
}

export function checkReason(value: string): string {
  return checkText("reason", value, 0, limits.reasonBytesMax);
}

export function checkAttempt(value: number): number {
  return checkInt("attempt", value, 0, limits.countMax);
}

export function checkGrace(value: bigint | undefined): number {
  return value === undefined ? limits.graceMsDefault : checkDuration("grace_ms", value);
}

/** 0 means the server's. */
export function checkLeaseTtl(value: bigint): number {
  if (value === 0n) return 0;
  return checkInt("lease_ttl_ms", value, limits.leaseTtlMsMin, limits.leaseTtlMsMax);
}

export function checkPageSize(value: number): number {
  return value === 0 ? limits.pageSizeDefault : checkInt("page_size", value, 1, limits.pageSizeMax);
}

export function checkSeq(field: string, value: bigint): number {
  return checkInt(field, value, 0, Number.MAX_SAFE_INTEGER);
}
