import type { Chance } from "./chance.ts";

// The programs that runs carry as their input: a small grammar that workers interpret.

export type Op =
  | {
      readonly do: "step";
      readonly key: string;
      readonly ms: number;
      readonly fails: number;
      readonly attempts: number;
    }
  | { readonly do: "once"; readonly key: string; readonly ms: number }
  /** A step that takes its worker with it, so many times. */
  | { readonly do: "poison"; readonly key: string; readonly deaths: number }
  | { readonly do: "sleep"; readonly key: string; readonly ms: number }
  | { readonly do: "signal"; readonly name: string; readonly timeoutMs: number }
  | { readonly do: "parallel"; readonly ops: readonly Op[] }
  | { readonly do: "caught"; readonly key: string; readonly attempts: number };

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

/** The delay between two attempts of a step. */
export function retryDelayMs(op: Extract<Op, { do: "step" }>): number {
  return op.ms > 1_000 ? 7_000 : 200;
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
      return op.attempts * (op.ms + retryDelayMs(op));
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
