import { setImmediate as immediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { silentLog } from "../../src/engine/telemetry.ts";
import type { Transaction } from "../../src/engine/transaction.ts";
import { createWriter } from "../../src/engine/writer.ts";
import * as limits from "../../src/limits.ts";
import { completed } from "../store/fixtures.ts";
import { HeldStore } from "../support/held-store.ts";
import { TestClock } from "../support/test-clock.ts";

// The writer by itself, with work that breaks its promise to decide before it records.

function writing() {
  const store = new HeldStore();
  const clock = new TestClock();
  const fatal: string[] = [];
  const told: string[] = [];
  const writer = createWriter({
    store: store.store,
    clock,
    log: silentLog,
    limits,
    hooks: {
      nowMs: () => 1,
      gather: () => false,
      seal: () => {},
      durable: () => {},
      rebuild: () => {},
      reopened: () => {},
      fatal: (message) => fatal.push(message),
    },
  });
  const submit = (name: string, run: (transaction: Transaction) => void) =>
    writer.submit({
      run(transaction) {
        run(transaction);
        transaction.after(() => told.push(`${name}: done`));
      },
      refuse: ({ reason }) => told.push(`${name}: ${reason}`),
    });
  const settle = async () => {
    for (let turn = 0; turn < 10; turn++) await immediate();
  };
  const events = (runNo: number) =>
    store.store.readEvents(runNo, { afterSeq: 0, limit: 9, bytesMax: 1e6, throughSeq: 0 });
  return { writer, fatal, told, submit, settle, events, clock, store };
}
const record = (transaction: Transaction, runNo: number) =>
  transaction.batch.events.push({ runNo, event: completed(1, "s") });
function bug(): never {
  throw new TypeError("a bug");
}

test("who waits for the writer is told that it has stopped while a commit was delayed", async () => {
  const { writer, submit, settle, fatal, clock, store } = writing();
  store.holding = true;
  submit("first", (transaction) => record(transaction, 1));
  await settle();
  submit("second", (transaction) => record(transaction, 2));
  await clock.advanceMs(50, settle);
  store.release();
  await settle();
  expect(store.given).toEqual([1]);
  const idle = writer.idle();
  submit("bad", (transaction) => {
    record(transaction, 3);
    bug();
  });
  await settle();
  await idle;
  expect(fatal).toHaveLength(1);
  expect(store.given).toEqual([1]);
});

test("a bug in a command that has recorded nothing costs that command", async () => {
  const { submit, settle, told, fatal, events } = writing();
  submit("good", (transaction) => record(transaction, 1));
  submit("bad", bug);
  submit("too", (transaction) => record(transaction, 2));
  await settle();
  expect(told).toEqual(["good: done", "bad: INTERNAL", "too: done"]);
  expect([events(1), events(2)].map(({ length }) => length)).toEqual([1, 1]);
  expect(fatal).toEqual([]);
});

test("a bug in the middle of a command's events is the end: half of it is in no commit", async () => {
  const { writer, submit, settle, told, fatal, events } = writing();
  submit("good", (transaction) => record(transaction, 1));
  submit("bad", (transaction) => {
    record(transaction, 2);
    bug();
  });
  submit("behind", (transaction) => record(transaction, 3));
  await settle();
  expect(fatal).toEqual(["the writer could not take its turn: TypeError: a bug"]);
  expect(writer.state).toBe("stopped");
  expect([1, 2, 3].flatMap(events)).toEqual([]);
  expect(told).toEqual(["good", "bad", "behind"].map((name) => `${name}: SHUTTING_DOWN`));
});
