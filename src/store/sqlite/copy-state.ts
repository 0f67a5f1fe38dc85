// What the threads that write the log and copy it into the file say to each other, in two words that they share. Not by
// messages: what is said has to hold for the commit that is under way, and a thread that waits hears no messages.

/** The words themselves, for the threads' data. */
export type CopyWords = Int32Array<SharedArrayBuffer>;
/** At `failed` 1 when a copy has failed, at `underWay` 1 while there is one beside the writer. */
export const copyWord = { failed: 0, underWay: 1 } as const;

export function createCopyWords(): CopyWords {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

/** Behind a sync that failed nothing that another one says is worth anything. */
export function hasCopyFailed(words: CopyWords): boolean {
  return Atomics.load(words, copyWord.failed) !== 0;
}

/** Copies, and tells all threads when it throws. */
export function tellingFailure<T>(words: CopyWords, copy: () => T): T {
  try {
    return copy();
  } catch (error) {
    Atomics.store(words, copyWord.failed, 1);
    throw error;
  }
}

/** Copies beside the writer, which may wait for the end. */
export function besideWriter<T>(words: CopyWords, copy: () => T): T {
  Atomics.store(words, copyWord.underWay, 1);
  try {
    return tellingFailure(words, copy);
  } finally {
    Atomics.store(words, copyWord.underWay, 0);
    Atomics.notify(words, copyWord.underWay);
  }
}

/** Holds up this thread. SQLite would not: it gives up at once beside another one that copies. */
export function waitForCopy(words: CopyWords): void {
  while (Atomics.wait(words, copyWord.underWay, 1) === "ok");
}
