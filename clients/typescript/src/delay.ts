import { InvalidArgumentError } from "./errors.ts";
import { delayMsMax } from "./limits.ts";

export const delayRange = "a number of milliseconds from 0 to 10^14";

export function isDelay(ms: unknown): ms is number {
  return typeof ms === "number" && ms >= 0 && ms <= delayMsMax;
}

/** Whole milliseconds, rounded up: nothing is due earlier than it was asked for. */
export function checkDelay(what: string, ms: unknown): number {
  if (!isDelay(ms)) throw new InvalidArgumentError(`${what} is ${delayRange}, not ${String(ms)}`);
  return Math.ceil(ms);
}
