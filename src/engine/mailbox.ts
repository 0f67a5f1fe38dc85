import { type Refusal, refuse } from "../core/errors.ts";

// What waits to be decided, in order. Bounded in number and in bytes; its owner asks before it puts something in, and may
// put back what it took.

export interface Waiting {
  /** Payload that it carries; absent when it carries none worth counting. */
  readonly bytes?: number;
  /** Commands that it stands for, when that is not one. */
  readonly commands?: number;
}

export interface Mailbox<T extends Waiting> {
  readonly length: number;
  /** Commands that all of it stands for. */
  readonly commands: number;
  /** BUSY when there is no room for this one now. */
  refusalOf(work: T): Refusal | undefined;
  push(work: T): void;
  /** The first one leaves; undefined when there is none. */
  shift(): T | undefined;
  /** All leave. */
  takeAll(): T[];
  /** It must be empty: these are not held against its bounds. */
  putBack(works: T[]): void;
}

/** Works that have left are let go by so many. */
const leftMax = 1_024;

export function createMailbox<T extends Waiting>(limits: {
  mailboxLengthMax: number;
  mailboxBytesMax: number;
}): Mailbox<T> {
  let works: T[] = [];
  let from = 0;
  let bytes = 0;
  let commands = 0;

  function tally(work: T, sign: 1 | -1): void {
    bytes += sign * (work.bytes ?? 0);
    commands += sign * (work.commands ?? 1);
  }
  function busy(text: string): Refusal {
    return refuse("BUSY", text, { retryAfterMs: 100 });
  }
  return {
    get length() {
      return works.length - from;
    },
    get commands() {
      return commands;
    },
    refusalOf(work) {
      if (works.length - from >= limits.mailboxLengthMax)
        return busy(`${limits.mailboxLengthMax} commands are waiting`);
      const more = work.bytes ?? 0;
      // One that is larger than all of the room waits alone.
      if (more === 0 || bytes === 0 || bytes + more <= limits.mailboxBytesMax) return undefined;
      return busy(`${bytes} bytes of commands are waiting, the limit is ${limits.mailboxBytesMax}`);
    },
    push(work) {
      tally(work, 1);
      works.push(work);
    },
    shift() {
      const work = works[from];
      if (work === undefined) return undefined;
      from += 1;
      tally(work, -1);
      // What has left must not be kept by what stays, however long there is always something.
      if (from === works.length || (from >= leftMax && from * 2 >= works.length)) {
        works = works.slice(from);
        from = 0;
      }
      return work;
    },
    takeAll() {
      const rest = works.slice(from);
      works = [];
      from = 0;
      bytes = 0;
      commands = 0;
      return rest;
    },
    putBack(again) {
      works = again;
      for (const work of again) tally(work, 1);
    },
  };
}
