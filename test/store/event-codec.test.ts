import { expect, test } from "vitest";
import { CorruptRowError } from "../../src/store/store.ts";
import { crcOf, decodeEvent, eventColumns, type EventValues } from "../../src/store/sqlite/event-codec.ts";

// A flipped bit in the head of a record changes the type of a column; SQLite gives whatever stands there.

const written: EventValues = [1, 2, 7, 1, 3, "a", 10, 20, '"result"', "", "{}", 0];
const row: unknown[] = [...written, crcOf(written)];

test("the row itself is read", () => {
  expect(decodeEvent(row)).toMatchObject({ seq: 2, stepKey: "a" });
});

test.each(eventColumns.split(", ").map((name, at) => [name, at] as const))(
  "%s: a value of any other type makes a corrupt row",
  (_, at) => {
    for (const value of [null, 1.5, "1", "text", Buffer.from("bytes"), 7n]) {
      const damaged = row.with(at, value);
      expect(() => decodeEvent(damaged), `${typeof value}`).toThrow(CorruptRowError);
    }
  },
);
