import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { createMailbox } from "../../src/engine/mailbox.ts";

const limits = { mailboxLengthMax: 3, mailboxBytesMax: 100 };

test("works leave in the order in which they came, and count while they wait", () => {
  const mailbox = createMailbox<{ name: string; commands?: number }>(limits);
  mailbox.push({ name: "a" });
  mailbox.push({ name: "b", commands: 7 });
  expect([mailbox.length, mailbox.commands]).toEqual([2, 8]);
  expect(mailbox.shift()?.name).toBe("a");
  mailbox.putBack([{ name: "again" }, ...mailbox.takeAll()]);
  expect([mailbox.length, mailbox.commands]).toEqual([2, 8]);
  expect([mailbox.shift()?.name, mailbox.shift()?.name, mailbox.shift()]).toEqual(["again", "b", undefined]);
  expect([mailbox.length, mailbox.commands]).toEqual([0, 0]);
});

test("there is room for so many, for so many bytes, and for one that is larger than all of it", () => {
  const mailbox = createMailbox<{ bytes?: number }>(limits);
  expect(mailbox.refusalOf({ bytes: 1_000 })).toBeUndefined();
  mailbox.push({ bytes: 60 });
  expect(mailbox.refusalOf({ bytes: 40 })).toBeUndefined();
  expect(mailbox.refusalOf({ bytes: 41 })).toMatchObject({ reason: "BUSY" });
  mailbox.push({});
  mailbox.push({});
  expect(mailbox.refusalOf({})).toMatchObject({ reason: "BUSY" });
  mailbox.shift();
  expect(mailbox.refusalOf({ bytes: 100 })).toBeUndefined();
});

test("what has left is let go by, also when something always waits", async () => {
  const mailbox = createMailbox<object>(limits);
  const left: WeakRef<object>[] = [];
  mailbox.push({});
  for (let n = 0; n < 10_000; n++) {
    mailbox.push({});
    left.push(new WeakRef(mailbox.shift() as object));
  }
  await untilCollected(left);
  // It was there all the time.
  expect(mailbox.length).toBe(1);
});

async function untilCollected(left: readonly WeakRef<object>[]): Promise<void> {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  expect(left.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(3_000);
}
