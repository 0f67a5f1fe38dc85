import { Chance } from "./chance.ts";

// Everything that a seed chooses, as a list: what clients do and what breaks, each at its instant. The list is what is
// shrunk. Smaller choices (latencies, what survives a crash) come from streams of the same seed.

export type Op =
  | {
      readonly do: "step";
      readonly key: string;
      readonly ms: number;
      readonly fails: number;
      readonly attempts: number;
    }
  | { readonly do: "once"; readonly key: string; readonly ms: number }
  | { readonly do: "sleep"; readonly key: string; readonly ms: number }
  | { readonly do: "signal"; readonly name: string; readonly timeoutMs: number }
  | { readonly do: "parallel"; readonly ops: readonly Op[] }
  | { readonly do: "caught"; readonly key: string; readonly attempts: number };

export type Choice =
  | {
      readonly kind: "start";
      readonly atMs: number;
      readonly run: number;
      readonly key: string;
      readonly ops: readonly Op[];
    }
  | { readonly kind: "signal"; readonly atMs: number; readonly run: number; readonly name: string }
  | {
      readonly kind: "cancel" | "terminate" | "pause" | "resume" | "retry" | "get";
      readonly atMs: number;
      readonly run: number;
    }
  | {
      readonly kind: "cut";
      readonly atMs: number;
      readonly worker: number;
      readonly deaf: "neither" | "worker" | "server";
    }
  | {
      readonly kind: "stall";
      readonly atMs: number;
      readonly worker: number;
      readonly from: 0 | 1;
      readonly ms: number;
    }
  | { readonly kind: "crashWorker" | "stopWorker"; readonly atMs: number; readonly worker: number; readonly ms: number }
  | {
      readonly kind: "crashServer" | "stopServer" | "fullDisk" | "slowDisk";
      readonly atMs: number;
      readonly ms: number;
    }
  | { readonly kind: "constraint" | "failedSync"; readonly atMs: number }
  | { readonly kind: "jump"; readonly atMs: number; readonly ms: number };

export interface Plan {
  readonly seed: number;
  readonly workers: number;
  readonly capacity: number;
  readonly leaseTtlMs: number;
  readonly latencyMs: number;
  /** Share of unary calls or answers that are lost, and of calls that arrive twice. */
  readonly lossShare: number;
  readonly repeatShare: number;
  /** Windows into the file, as small as one. */
  readonly windowMax: number;
  readonly faultsEndMs: number;
  readonly choices: readonly Choice[];
}

const faultKinds = [
  "cut",
  "stall",
  "crashWorker",
  "stopWorker",
  "crashServer",
  "stopServer",
  "fullDisk",
  "slowDisk",
  "constraint",
  "failedSync",
  "jump",
] as const;

export function planOf(seed: number): Plan {
  const chance = new Chance(seed, "plan");
  const faultsEndMs = chance.between(5_000, 60_000);
  const leaseTtlMs = chance.pick([1_000, 3_000, 30_000]);
  const workers = chance.between(1, 4);
  const runs = chance.between(1, 8);
  const choices: Choice[] = [];
  const when = (): number => chance.between(0, faultsEndMs);
  for (let run = 0; run < runs; run++) {
    const atMs = Math.floor(when() / 2);
    const ops = opsOf(chance, 1);
    const key = chance.maybe(0.2) ? `key-${chance.between(0, 1)}` : "";
    choices.push({ kind: "start", atMs, run, key, ops });
    const names = ops.flatMap((op) => (op.do === "signal" ? [op.name] : []));
    for (const name of names) {
      if (chance.maybe(0.7)) choices.push({ kind: "signal", atMs: atMs + chance.between(0, 20_000), run, name });
    }
    for (const kind of ["cancel", "terminate", "pause", "resume", "retry", "get"] as const) {
      if (chance.maybe(kind === "get" ? 0.5 : 0.12)) {
        choices.push({ kind, atMs: atMs + chance.between(0, 10_000), run });
      }
    }
  }
  // Swarm: a world without some kinds of faults reaches what a mixture of all never does.
  for (const kind of faultKinds) {
    if (chance.maybe(0.6)) continue;
    for (let count = chance.between(1, 4); count > 0; count--)
      choices.push(faultOf(chance, kind, when(), workers, leaseTtlMs));
  }
  return {
    seed,
    workers,
    capacity: chance.pick([1, 2, 10]),
    leaseTtlMs,
    latencyMs: chance.pick([0.2, 2, 50]),
    lossShare: chance.maybe(0.5) ? chance.float() * 0.3 : 0,
    repeatShare: chance.maybe(0.5) ? chance.float() * 0.3 : 0,
    windowMax: chance.pick([1, 2, 1_000]),
    faultsEndMs,
    choices: choices.sort((a, b) => a.atMs - b.atMs),
  };
}

function faultOf(
  chance: Chance,
  kind: (typeof faultKinds)[number],
  atMs: number,
  workers: number,
  ttlMs: number,
): Choice {
  const worker = chance.between(0, workers - 1);
  const ms = Math.ceil(ttlMs * 2 * chance.float() ** 2);
  switch (kind) {
    case "cut":
      return { kind, atMs, worker, deaf: chance.pick(["neither", "worker", "server"]) };
    case "stall":
      return { kind, atMs, worker, from: chance.pick([0, 1]), ms };
    case "crashWorker":
    case "stopWorker":
      return { kind, atMs, worker, ms };
    case "crashServer":
    case "stopServer":
    case "fullDisk":
    case "slowDisk":
      return { kind, atMs, ms };
    case "constraint":
    case "failedSync":
      return { kind, atMs };
    case "jump":
      return { kind, atMs, ms: chance.pick([-3_600_000, -5_000, 5_000, 3_600_000]) };
  }
}

function opsOf(chance: Chance, depth: number): Op[] {
  return Array.from({ length: chance.between(1, 4) }, (_, index) => opOf(chance, `${depth}${index}`, depth));
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
