import type { Database } from "better-sqlite3";
import { type EventValues, eventColumns } from "./event-codec.ts";

// Events on their way into the file, many to a statement. In the driver a call costs as much as several values, and a
// value about as much as its column costs SQLite; most events have no encoding and no detail. So these two stand in the
// SQL where they are absent, and rows go by the dozen: an event took 4.8 microseconds and takes 2.9, of which SQLite
// itself has 2.3.

type AddEvent = (values: EventValues, crc: number) => void;

/** Rows in a statement, largest first; beyond 32 nothing is gained. */
const rowCounts = [32, 4, 1] as const;

/** Inserts what the feed adds, in no particular order. The array of an event may be used again behind its call. */
export function createEventInserter(database: Database): (feed: (add: AddEvent) => void) => void {
  const plain = createRows(database, "(?, ?, ?, ?, ?, ?, ?, ?, ?, '', NULL, ?, ?)");
  const full = createRows(database, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const add: AddEvent = (values, crc) => {
    const isPlain = values[9] === "" && values[10] === null;
    const { pending } = isPlain ? plain : full;
    let at = (isPlain ? plain : full).reserve();
    for (let column = 0; column < 9; column++) pending[at++] = values[column];
    if (!isPlain) {
      pending[at++] = values[9];
      pending[at++] = values[10];
    }
    pending[at++] = values[11];
    pending[at] = crc;
  };
  return (feed) => {
    // An earlier feed may have ended with an error.
    plain.clear();
    full.clear();
    feed(add);
    plain.flush();
    full.flush();
  };
}

/** Values of rows of one shape, until there are enough of them for the largest statement. */
function createRows(database: Database, row: string) {
  const columns = row.split("?").length - 1;
  const statements = rowCounts.map((count) => ({
    length: count * columns,
    insert: database.prepare<unknown[]>(
      `INSERT INTO events (${eventColumns}) VALUES ${Array.from({ length: count }, () => row).join(", ")}`,
    ),
  }));
  const pending: unknown[] = Array.from({ length: rowCounts[0] * columns }, () => null);
  let used = 0;
  const self = {
    pending,
    /** Where the next row begins. */
    reserve(): number {
      if (used === pending.length) self.flush();
      used += columns;
      return used - columns;
    },
    flush() {
      let at = 0;
      for (const { length, insert } of statements) {
        for (; used - at >= length; at += length) {
          insert.run(length === pending.length ? pending : pending.slice(at, at + length));
        }
      }
      self.clear();
    },
    /** Texts and bytes of an event are parts of its whole batch, which would live on with them. */
    clear() {
      pending.fill(null, 0, used);
      used = 0;
    },
  };
  return self;
}
