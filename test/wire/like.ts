import type { Like } from "./scenario.ts";

/** Whether a value has everything that `like` names; null stands for what is left out, too. */
export function isLike(value: unknown, like: Like): boolean {
  if (like === "*") return value !== undefined;
  if (like === null) return value === undefined || value === null;
  if (Array.isArray(like)) {
    return Array.isArray(value) && value.length === like.length && like.every((item, at) => isLike(value[at], item));
  }
  if (typeof like === "object") {
    if (typeof value !== "object" || value === null) return false;
    return Object.entries(like).every(([name, part]) => isLike((value as Record<string, unknown>)[name], part));
  }
  return value === like;
}

/** Whether a value, or anything inside it, is like this. */
export function holdsLike(value: unknown, like: Like): boolean {
  if (isLike(value, like)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some((part) => holdsLike(part, like));
}
