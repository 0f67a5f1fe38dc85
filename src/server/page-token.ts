import { createHash } from "node:crypto";
import { EngineError, refuse } from "../core/errors.ts";
import { pageBytesMax } from "../limits.ts";

// Page tokens and cursors: a place in one list, opaque to callers. Not secret: who forges one sees what a page request
// would show anyway. But each carries a check over itself, its kind of list and what was asked for: a token that was
// damaged, or is taken to another list, would go on somewhere and leave items out without a word, and is refused.

/** How many numbers make a place, and the field that takes the token. */
const kinds = {
  runs: { numbers: 1, field: "page_token" },
  history: { numbers: 1, field: "page_token" },
  steps: { numbers: 1, field: "page_token" },
  signals: { numbers: 1, field: "page_token" },
  watch: { numbers: 2, field: "cursor" },
} as const;

/** Enough against mistakes: one of 2^48 would pass. */
const checkChars = 8;

/** The tokens of one list: `asked` is what the call was asked for, beside where to begin and how much to give. */
export class PageTokens {
  readonly #kind: keyof typeof kinds;
  readonly #list: string;

  constructor(kind: keyof typeof kinds, asked: object) {
    this.#kind = kind;
    this.#list = JSON.stringify([kind, asked]);
  }
  write(...place: readonly number[]): string {
    const check = createHash("sha256").update(`${place.join()} ${this.#list}`).digest("base64url");
    return Buffer.from(JSON.stringify([...place, check.slice(0, checkChars)])).toString("base64url");
  }
  /** The place that a token names; undefined when it is empty. */
  read(token: string): number[] | undefined {
    if (token === "") return undefined;
    const { numbers, field } = kinds[this.#kind];
    const place = placeIn(token);
    // Written again it must be the same to the letter: there is one way only to write a place.
    if (place?.length !== numbers || this.write(...place) !== token) {
      throw new EngineError(
        refuse("BAD_PAGE_TOKEN", `${field} is not one that this call has given out for what it is asked now`, {
          field,
        }),
      );
    }
    return place;
  }
}

function placeIn(token: string): number[] | undefined {
  if (token.length > 200) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    const place: unknown[] = Array.isArray(parsed) ? parsed.slice(0, -1) : [];
    return place.every(isPlace) ? place : undefined;
  } catch {
    return undefined;
  }
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Cuts a page that would make too large an answer; at least one item stays. */
export function fitPage<T>(
  page: { readonly items: readonly T[]; readonly more: boolean },
  bytesOf: (item: T) => number,
): { items: readonly T[]; more: boolean } {
  let bytes = 0;
  for (let index = 0; index < page.items.length; index++) {
    bytes += bytesOf(page.items[index] as T);
    if (bytes > pageBytesMax && index > 0) return { items: page.items.slice(0, index), more: true };
  }
  return page;
}
