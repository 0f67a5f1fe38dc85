import { setImmediate as immediate } from "node:timers/promises";
import { expect } from "vitest";
import { silentLog } from "../../src/engine/telemetry.ts";
import { EngineRig } from "./engine-rig.ts";
import { HeldStore } from "./held-store.ts";

// An engine whose commits a test holds open.

// Whatever is decided wrongly, the constraints of the file refuse, and then it is decided again: the answers are right in
// the end. So no commit may have been refused: call expectNoErrors after each test.
let errors: string[] = [];
const log = { ...silentLog, error: (_fields: object, message: string) => void errors.push(message) };

export function expectNoErrors(): void {
  const found = errors;
  errors = [];
  expect(found.slice(0, 10)).toEqual([]);
}

export type HeldOptions = ConstructorParameters<typeof EngineRig>[0];

export function createHeld(options: HeldOptions = {}) {
  const store = new HeldStore();
  return { store, rig: new EngineRig({ store: store.store, log, ...options }) };
}

export async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await immediate();
}
