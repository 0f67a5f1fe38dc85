import { EngineError, refuse } from "../core/errors.ts";
import { pageBytesMax } from "../limits.ts";

// Page tokens and cursors: a place in one kind of list, opaque to callers. Not secret: who forges one sees what a
// page request would show anyway; but a token of another list is a mistake that must be told.

export type PageKind = "runs" | "history" | "steps" | "signals" | "watch";

export function encodeToken(kind: PageKind, ...place: number[]): string {
  return Buffer.from(JSON.stringify([kind, ...place])).toString("base64url");
}

/** The place that a token names; undefined when it is empty. */
export function decodeToken(field: string, kind: PageKind, token: string, numbers: number): number[] | undefined {
  if (token === "") return undefined;
  const parsed = parse(token);
  if (parsed?.[0] !== kind || parsed.length !== numbers + 1) throw badToken(field);
  return parsed.slice(1).map((value) => {
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw badToken(field);
    return value as number;
  });
}

function parse(token: string): unknown[] | undefined {
  if (token.length > 200 || !/^[\w-]+$/.test(token)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function badToken(field: string): EngineError {
  return new EngineError(refuse("BAD_PAGE_TOKEN", `${field} is not one that this call has given out`, { field }));
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
