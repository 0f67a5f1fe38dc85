import type { RetryPolicy } from "../../src/core/event.ts";
import type { Chance } from "./chance.ts";

// The programs that runs carry as their input: a small grammar that workers interpret.

export type Backoff = "linear" | "exponential";

export type Op =
  | {
      readonly do: "step";
      readonly key: string;
      readonly ms: number;
      readonly fails: number;
      readonly attempts: number;
      /** How the delay between attempts grows; absent when it does not. */
      readonly backoff?: Backoff;
    }
  | { readonly do: "once"; readonly key: string; readonly ms: number }
  /** A step that takes its worker with it, so many times. */
  | { readonly do: "poison"; readonly key: string; readonly deaths: number }
  | { readonly do: "sleep"; readonly key: string; readonly ms: number }
  | { readonly do: "signal"; readonly name: string; readonly timeoutMs: number }
  | { readonly do: "parallel"; readonly ops: readonly Op[] }
  | { readonly do: "caught"; readonly key: string; readonly attempts: number };

/** The grace that operators give with a cancel or a pause. */
export const graceMs = 30_000;

export interface ProgramOptions {
  readonly poison: number;
  readonly opsMax: number;
}

export function programOf(chance: Chance, { poison, opsMax }: ProgramOptions): Op[] {
  const ops = Array.from({ length: chance.between(1, opsMax) }, (_, index) => opOf(chance, `1${index}`, 1));
  if (poison > 0) ops.splice(chance.between(0, ops.length), 0, { do: "poison", key: "p", deaths: poison });
  return ops;
}

function opOf(chance: Chance, place: string, depth: number): Op {
  const ms = chance.pick([0, 0, 5, 300, 4_000]);
  const kind = chance.pick(["step", "step", "step", "once", "sleep", "signal", "parallel", "caught"] as const);
  switch (kind) {
    case "step":
      return { do: kind, key: `s${place}`, ms, fails: chance.pick([0, 0, 0, 1, 2]), attempts: chance.between(1, 4) };
    case "once":
      return { do: kind, key: `o${place}`, ms };
    case "sleep":
      return { do: kind, key: `z${place}`, ms: chance.pick([0, 10, 1_000, 8_000, 20_000]) };
    case "signal":
      return { do: kind, name: `n${place}`, timeoutMs: chance.pick([0, 500, 6_000]) };
    case "caught":
      return { do: kind, key: `c${place}`, attempts: chance.between(1, 2) };
    case "parallel": {
      if (depth > 1) return { do: "step", key: `s${place}`, ms, fails: 0, attempts: 1 };
      const ops = Array.from({ length: chance.between(2, 3) }, (_, index) => opOf(chance, `${place}p${index}`, 2));
      return { do: kind, ops };
    }
  }
}

type Failing = Extract<Op, { do: "step" | "caught" }>;

/** When a failed attempt is tried again. */
export function retryPolicyOf(
  op: Failing,
): RetryPolicy & { readonly backoff: "fixed" | "linear" | "exponential"; readonly delaysMs?: never } {
  const maxAttempts = op.attempts;
  const initialDelayMs = initialMs(op);
  const backoff = backoffOf(op);
  if (backoff === "exponential") return { maxAttempts, initialDelayMs, backoff, factor: 3, maxDelayMs: 15_000 };
  if (backoff === "linear") return { maxAttempts, initialDelayMs, backoff, jitter: 0 };
  return { maxAttempts, initialDelayMs, backoff: "fixed" };
}

/** The shortest and the longest delay that the policy allows behind this attempt, said again in other words. */
export function retryDelaysMs(op: Failing, attempt: number): readonly [number, number] {
  const firstMs = initialMs(op);
  const backoff = backoffOf(op);
  if (backoff === "linear") return [firstMs * attempt, firstMs * attempt];
  // Three times as long at each step, until a quarter of a minute; a tenth of it is left to chance.
  const longestMs =
    backoff === "exponential" ? Math.min([firstMs, firstMs * 3, firstMs * 9][attempt - 1] ?? 15_000, 15_000) : firstMs;
  return [Math.round(longestMs * 0.9), longestMs];
}

function backoffOf(op: Failing): Backoff | undefined {
  return op.do === "step" ? op.backoff : undefined;
}

function initialMs(op: Failing): number {
  if (op.do === "caught") return 100;
  return op.ms > 1_000 ? 7_000 : 200;
}

/** Every op by its step key. */
export function opsByKey(ops: readonly Op[], found = new Map<string, Op>()): Map<string, Op> {
  for (const op of ops) {
    if (op.do === "parallel") opsByKey(op.ops, found);
    else found.set(op.do === "signal" ? op.name : op.key, op);
  }
  return found;
}

/** What must be there when the program has ended: the keys of its results in order, and those of its waits. */
export function endsOf(ops: readonly Op[]): { readonly results: readonly string[]; readonly waits: readonly string[] } {
  const results: string[] = [];
  const waits: string[] = [];
  for (const [key, op] of opsByKey(ops)) {
    if (op.do === "sleep" || op.do === "signal") waits.push(key);
    else if (op.do !== "caught") results.push(key);
  }
  return { results, waits };
}

/** The program with these growths of its delays. */
export function withBackoffs(ops: readonly Op[], chance: Chance): Op[] {
  return ops.map((op) => {
    if (op.do === "parallel") return { ...op, ops: withBackoffs(op.ops, chance) };
    if (op.do !== "step" || !chance.maybe(0.7)) return op;
    return { ...op, backoff: chance.pick(["linear", "exponential"]) };
  });
}

/** Whether a step of it fails for good, each time that it is begun anew. */
export function failsForGood(ops: readonly Op[]): boolean {
  return ops.some((op) => (op.do === "parallel" ? failsForGood(op.ops) : op.do === "step" && op.fails >= op.attempts));
}

export function signalsOf(ops: readonly Op[]): string[] {
  return ops.flatMap((op) => (op.do === "signal" ? [op.name] : op.do === "parallel" ? signalsOf(op.ops) : []));
}

/** How long a program takes by itself at most, with leases of this length. */
export function worstMs(ops: readonly Op[], ttlMs: number): number {
  return ops.reduce((sum, op) => sum + worstOfMs(op, ttlMs), 0);
}

function worstOfMs(op: Op, ttlMs: number): number {
  switch (op.do) {
    case "step":
      return op.attempts * (op.ms + retryDelaysMs(op, op.attempts)[1]);
    case "once":
    case "sleep":
      return op.ms;
    case "poison":
      return op.deaths * (ttlMs * 1.5 + 62_000);
    case "signal":
      return op.timeoutMs;
    case "caught":
      return op.attempts * 100;
    case "parallel":
      return worstMs(op.ops, ttlMs);
  }
}
