import { InvalidArgumentError } from "commander";
import { durationMsMax, waitRunMsMax } from "../limits.ts";

const unitMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** "200ms", "5s", "1h30m", "0": a duration in milliseconds. As Go writes durations, and with days. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no duration; write 200ms, 5s, 1h30m or 2d`);
  }
  const ms = Math.round(parts.reduce((sum, part) => sum + Number(part[1]) * (unitMs[part[2] as string] as number), 0));
  if (ms > durationMsMax) throw new InvalidArgumentError(`${text} is longer than ${durationMsMax} ms`);
  return ms;
}

/** How long to wait for a run. Told before anything is asked of the server: a run must not start by a refused command. */
export function parseWait(text: string): number {
  const ms = parseDuration(text);
  if (ms > waitRunMsMax) throw new InvalidArgumentError(`${text} is longer than an hour`);
  // To the server no time at all would mean its usual minute.
  return Math.max(1, ms);
}

export function parseCount(text: string): number {
  const value = parseInteger(text);
  if (value < 1) throw new InvalidArgumentError(`${text} is less than 1`);
  return value;
}

export function parseInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError(`${JSON.stringify(text)} is no integer`);
  return value;
}

export function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no HOST:PORT; write 127.0.0.1:7420`);
  }
  return { host: match[1] ?? (match[2] === "" ? "127.0.0.1" : (match[2] as string)), port };
}
