import fc from "fast-check";
import { expect, test } from "vitest";
import { HelloGate } from "../../src/engine/hello-gate.ts";
import { helloDelayMsMax, hellosPerSecondMax } from "../../src/limits.ts";
import { Chance } from "../simulation/chance.ts";

/** The most admissions in any second, given their moments in order. */
function mostInASecond(admittedAtMs: readonly number[]): number {
  let most = 0;
  for (let first = 0, last = 0; last < admittedAtMs.length; last++) {
    while ((admittedAtMs[last] as number) - (admittedAtMs[first] as number) >= 1_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** So many workers come at once and do as they are told. Their chance comes from a seed. */
function storm(workers: number) {
  const chance = new Chance(workers, "storm");
  const gate = new HelloGate();
  const admittedAtMs: number[] = [];
  const waits: number[] = [];
  let attempts = 0;
  const coming = new Map([[0, workers]]);
  for (let nowMs = 0; coming.size > 0; nowMs++) {
    const now = coming.get(nowMs) ?? 0;
    coming.delete(nowMs);
    for (let hello = 0; hello < now; hello++) {
      attempts += 1;
      const later = gate.enter(nowMs);
      if (later === undefined) {
        admittedAtMs.push(nowMs);
        continue;
      }
      waits.push(later.afterMs);
      const atMs = nowMs + later.afterMs + Math.floor(chance.float() * later.jitterMs);
      coming.set(atMs, (coming.get(atMs) ?? 0) + 1);
    }
  }
  return { admittedAtMs, attempts, waits };
}

test("a second that begins late in one window and ends in the next admits no more than any other", () => {
  const gate = new HelloGate();
  const admitted = (count: number, nowMs: number) =>
    Array.from({ length: count }, () => gate.enter(nowMs)).filter((later) => later === undefined).length;
  expect(admitted(1, 0)).toBe(1);
  expect(admitted(400, 900)).toBe(hellosPerSecondMax - 1);
  expect(admitted(400, 999)).toBe(0);
  expect(admitted(400, 1_000)).toBe(1);
  expect(admitted(400, 1_899)).toBe(0);
  expect(admitted(400, 1_900)).toBe(hellosPerSecondMax - 1);
});

test("whenever they come, no second admits more", () => {
  const gaps = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 350 })), { maxLength: 40 });
  fc.assert(
    fc.property(gaps, (waves) => {
      const gate = new HelloGate();
      const admittedAtMs: number[] = [];
      let nowMs = 0;
      for (const [gapMs, hellos] of waves) {
        nowMs += gapMs;
        for (let hello = 0; hello < hellos; hello++) if (gate.enter(nowMs) === undefined) admittedAtMs.push(nowMs);
      }
      expect(mostInASecond(admittedAtMs)).toBeLessThanOrEqual(hellosPerSecondMax);
    }),
  );
});

test("a thousand workers that come at once are all in after six seconds, most of them at their second try", () => {
  const { admittedAtMs, attempts } = storm(1_000);
  expect(mostInASecond(admittedAtMs)).toBe(hellosPerSecondMax);
  expect(admittedAtMs.at(-1)).toBeLessThan(6_000);
  expect(attempts).toBeLessThan(2_000);
});

test("twenty thousand: nobody is sent away for longer than the limit, and all get in", () => {
  const { admittedAtMs, waits } = storm(20_000);
  expect(mostInASecond(admittedAtMs)).toBeLessThanOrEqual(hellosPerSecondMax);
  expect(Math.max(...waits)).toBeLessThanOrEqual(helloDelayMsMax);
  // At the full rate they would take 67 s.
  expect(admittedAtMs.at(-1)).toBeLessThan(150_000);
});

test("those who come one by one are never sent away", () => {
  const gate = new HelloGate();
  for (let nowMs = 0; nowMs < 10_000; nowMs += 4) expect(gate.enter(nowMs)).toBeUndefined();
});
