import { Chance } from "./chance.ts";
import type { Windows } from "./server.ts";
import { failsForGood, type Op, programOf, signalsOf, withBackoffs } from "./programs.ts";

// Everything that a seed chooses, as a list: what clients do and what breaks, each at its instant. The list is what is
// shrunk. Smaller choices (latencies, what survives a crash) come from streams of the same seed.

export type Choice =
  | {
      readonly kind: "start";
      readonly atMs: number;
      readonly run: number;
      readonly key: string;
      readonly ops: readonly Op[];
      readonly queue: "default" | "other";
      /** "plain" is for the workers without a stream. */
      readonly workflow: "program" | "plain";
      readonly startDelayMs: number;
      readonly runTimeoutMs: number;
    }
  | { readonly kind: "signal"; readonly atMs: number; readonly run: number; readonly name: string }
  | {
      readonly kind: "cancel" | "terminate" | "pause" | "resume" | "retry" | "get" | "watch" | "volley";
      readonly atMs: number;
      readonly run: number;
      /** Whose request_id a retry brings once more; absent when it brings its own. */
      readonly firstAtMs?: number;
    }
  | {
      readonly kind: "cut";
      readonly atMs: number;
      readonly worker: number;
      readonly deaf: "neither" | "worker" | "server";
      /** How much later the server learns of it. */
      readonly lateMs: number;
    }
  | {
      readonly kind: "stall";
      readonly atMs: number;
      readonly worker: number;
      readonly from: 0 | 1;
      readonly ms: number;
    }
  | {
      readonly kind: "crashWorker" | "stopWorker" | "drainWorker";
      readonly atMs: number;
      readonly worker: number;
      readonly ms: number;
    }
  | {
      readonly kind: "drainServer" | "crashServer" | "stopServer" | "fullDisk" | "slowDisk";
      readonly atMs: number;
      readonly ms: number;
    }
  | { readonly kind: "constraint" | "failedSync"; readonly atMs: number }
  | { readonly kind: "jump"; readonly atMs: number; readonly ms: number };

export interface Plan {
  readonly seed: number;
  readonly workers: number;
  /** Workers without a stream; they come behind the others. */
  readonly unaryWorkers: number;
  readonly capacity: number;
  readonly leaseTtlMs: number;
  readonly latencyMs: number;
  /** Share of unary calls or answers that are lost, and of calls that arrive twice. */
  readonly lossShare: number;
  readonly repeatShare: number;
  /** Windows into the file, as small as one. */
  readonly windows: Windows;
  /** Share of commits during which somebody asks about a run. */
  readonly spyShare: number;
  /** Share of ops that a worker sends once more, much later. */
  readonly staleShare: number;
  readonly faultsEndMs: number;
  readonly choices: readonly Choice[];
}

const faultKinds = [
  "cut",
  "stall",
  "crashWorker",
  "stopWorker",
  "drainWorker",
  "crashServer",
  "stopServer",
  "drainServer",
  "fullDisk",
  "slowDisk",
  "constraint",
  "failedSync",
  "jump",
] as const;

/** 0 in half of the worlds, otherwise up to `max`. */
function shareOf(chance: Chance, max: number): number {
  return chance.maybe(0.5) ? chance.float() * max : 0;
}

export function planOf(seed: number): Plan {
  const chance = new Chance(seed, "plan");
  const faultsEndMs = chance.between(5_000, 60_000);
  const leaseTtlMs = chance.pick([1_000, 3_000, 30_000]);
  const workers = chance.between(1, 4);
  const unaryWorkers = chance.maybe(0.3) ? chance.between(1, 3) : 0;
  const choices: Choice[] = [];
  const when = (): number => chance.between(0, faultsEndMs);
  addRuns(chance, choices, unaryWorkers > 0, when);
  const again = new Chance(seed, "again");
  if (again.maybe(0.5)) addRepeats(again, choices);
  // Swarm: a world without some kinds of faults reaches what a mixture of all never does.
  for (const kind of faultKinds) {
    if (chance.maybe(0.6)) continue;
    for (let count = chance.between(1, 4); count > 0; count--)
      choices.push(faultOf(chance, kind, when(), workers + unaryWorkers, leaseTtlMs));
  }
  return {
    seed,
    workers,
    unaryWorkers,
    capacity: chance.pick([1, 2, 10]),
    leaseTtlMs,
    latencyMs: chance.pick([0.2, 2, 50]),
    lossShare: shareOf(chance, 0.3),
    repeatShare: shareOf(chance, 0.3),
    windows: {
      runCacheMax: chance.pick([1, 2, 1_000]),
      lineWindowMax: chance.pick([1, 2, 1_000]),
      deadlineHorizonMax: chance.pick([1, 2, 1_000]),
      queuedEventsMin: new Chance(seed, "decision").pick([1, 2, 1_000]),
    },
    spyShare: shareOf(chance, 0.3),
    staleShare: shareOf(chance, 0.2),
    faultsEndMs,
    choices: choices.sort((a, b) => a.atMs - b.atMs),
  };
}

/** What clients want, and what operators do to it. Some worlds have a crowd of short runs, all at once. */
function addRuns(chance: Chance, choices: Choice[], unary: boolean, when: () => number): void {
  const crowd = chance.maybe(0.15);
  const runs = crowd ? chance.between(8, 20) : chance.between(1, 8);
  const crowdAtMs = when() / 2;
  for (let run = 0; run < runs; run++) {
    const atMs = Math.floor(crowd ? crowdAtMs + chance.float() * 20 : when() / 2);
    const poison = chance.maybe(0.01) ? (chance.maybe(0.5) ? 12 : 2) : 0;
    const ops = programOf(chance, { poison, opsMax: crowd ? 2 : 4 });
    choices.push({
      kind: "start",
      atMs,
      run,
      key: chance.maybe(0.2) ? `key-${chance.between(0, 1)}` : "",
      ops,
      queue: chance.maybe(0.2) ? "other" : "default",
      workflow: unary && chance.maybe(0.6) ? "plain" : "program",
      startDelayMs: chance.maybe(0.1) ? chance.pick([5, 2_000, 15_000]) : 0,
      runTimeoutMs: chance.maybe(0.05) ? chance.pick([500, 10_000]) : 0,
    });
    for (const name of signalsOf(ops)) {
      if (chance.maybe(0.7)) choices.push({ kind: "signal", atMs: atMs + chance.between(0, 20_000), run, name });
    }
    for (const kind of ["cancel", "terminate", "pause", "resume", "retry", "get", "watch", "volley"] as const) {
      if (chance.maybe(kind === "get" ? 0.5 : 0.12)) {
        choices.push({ kind, atMs: atMs + chance.between(0, 10_000), run });
      }
    }
  }
}

/** Delays that grow, and operators who ask for a retry once more with the same request_id, when it may have failed again. */
function addRepeats(chance: Chance, choices: Choice[]): void {
  for (const [index, choice] of [...choices].entries()) {
    if (choice.kind !== "start") continue;
    const { run, ops } = choice;
    choices[index] = { ...choice, ops: withBackoffs(ops, chance) };
    if (!failsForGood(ops)) continue;
    const firstAtMs = choice.atMs + chance.between(500, 10_000);
    choices.push({ kind: "retry", atMs: firstAtMs, run });
    choices.push({ kind: "retry", atMs: firstAtMs + chance.between(500, 5_000), run, firstAtMs });
  }
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
      return {
        kind,
        atMs,
        worker,
        deaf: chance.pick(["neither", "worker", "server"]),
        lateMs: chance.maybe(0.5) ? ms : 0,
      };
    case "stall":
      return { kind, atMs, worker, from: chance.pick([0, 1]), ms };
    case "crashWorker":
    case "stopWorker":
    case "drainWorker":
      return { kind, atMs, worker, ms };
    case "crashServer":
    case "drainServer":
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
