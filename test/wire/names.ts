import type { Like } from "./scenario.ts";

/**
 * Values that are named where they are met first, as "=name", and must be the same later: op ids, for example, which
 * are not the same in every SDK.
 */
export class Names {
  readonly #values = new Map<string, unknown>();

  /** What is known takes the place of its name; what is not may be anything. */
  fill(like: Like): Like {
    if (typeof like === "string" && like.startsWith("=")) return this.#values.get(like) ?? "*";
    if (Array.isArray(like)) return like.map((part) => this.fill(part));
    if (typeof like !== "object" || like === null) return like;
    return Object.fromEntries(Object.entries(like).map(([name, part]) => [name, this.fill(part)]));
  }

  learn(like: Like, value: unknown): void {
    if (typeof like === "string" && like.startsWith("=")) this.#values.set(like, value);
    else if (typeof like === "object" && like !== null && typeof value === "object" && value !== null) {
      for (const [name, part] of Object.entries(like)) this.learn(part, (value as Record<string, unknown>)[name]);
    }
  }
}
