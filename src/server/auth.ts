import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

// API keys. Only their hashes are kept. Each key has a signal that its streams listen to, so that revoking a key
// ends what was opened with it.

export interface KeyRing {
  /** True when callers have to show a key. */
  readonly required: boolean;
  /** The signal of the key that the headers show; undefined when they show none that is valid. */
  find(headers: IncomingHttpHeaders): AbortSignal | undefined;
  /** Replaces the keys. Streams of keys that are gone end; without any key nobody gets in. */
  setKeys(keys: readonly string[]): void;
}

interface Entry {
  readonly hash: Buffer;
  readonly controller: AbortController;
}

export function createKeyRing(keys: readonly string[] | undefined): KeyRing {
  let required = keys !== undefined && keys.length > 0;
  let entries: Entry[] = (keys ?? []).map((key) => newEntry(hashOf(checkKey(key))));

  function setKeys(next: readonly string[]): void {
    const hashes = next.map((key) => hashOf(checkKey(key)));
    const kept = entries.filter((entry) => hashes.some((hash) => hash.equals(entry.hash)));
    const added = hashes.filter((hash) => !kept.some((entry) => entry.hash.equals(hash)));
    const gone = entries.filter((entry) => !kept.includes(entry));
    required = true;
    entries = [...kept, ...added.map(newEntry)];
    for (const entry of gone) entry.controller.abort();
  }

  return {
    get required() {
      return required;
    },
    find(headers) {
      const shown = shownKey(headers);
      if (shown === undefined) return undefined;
      const hash = hashOf(shown);
      let found: Entry | undefined;
      // Every entry is compared: the time must not tell which one matched.
      for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found = entry;
      return found?.controller.signal;
    },
    setKeys,
  };
}

function newEntry(hash: Buffer): Entry {
  return { hash, controller: new AbortController() };
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** A key has to pass through a header as it is: most that fail here come from a file with a newline at its end. */
function checkKey(key: string): string {
  if (/^[\x21-\x7e]{8,512}$/.test(key)) return key;
  throw new Error("an API key must be 8 to 512 printable ASCII characters without spaces");
}

function shownKey(headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) return /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  const key = headers["x-api-key"];
  return typeof key === "string" ? key : undefined;
}
