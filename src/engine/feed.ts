import { outboxFeedBytes } from "../limits.ts";
import type { Outbox } from "./outbox.ts";

// What one stream still has to be given: assignments, the rest of long journals, notices that it has missed. Each is
// read from the file when its turn comes and there is room, so that a worker whose runs are large is served as fast as
// it reads, and what waits for it costs no memory. Turns are taken in order.

export interface Feed {
  /** Runs now or when there is room, in order. */
  whenRoom(run: () => void): void;
  /** There is room and nothing waits for it. */
  readonly open: boolean;
  /** Something was taken out of the outbox. */
  pump(): void;
}

export function createFeed(outbox: Outbox): Feed {
  let turns: (() => void)[] = [];
  let turnsFrom = 0;
  const waiting = () => turnsFrom < turns.length;
  const room = () => outbox.bytes < outboxFeedBytes && !outbox.sealed;
  return {
    whenRoom(run) {
      if (room() && !waiting()) run();
      else turns.push(run);
    },
    get open() {
      return room() && !waiting();
    },
    pump() {
      while (waiting() && room()) turns[turnsFrom++]?.();
      if (waiting()) return;
      turns = [];
      turnsFrom = 0;
    },
  };
}
