import type { ImageKind } from "./images.ts";

// Which seed is played on which store. Most run in memory, for speed; each twentieth on the SQLite store's own statements
// and a real file, in every campaign that does not ask for something else, so that what the adapter does is held to the
// same rules.

export const stores = ["mixed", "memory", "sqlite", "both"] as const;
type StoreOption = (typeof stores)[number];

export function isStore(text: string): text is StoreOption {
  return (stores as readonly string[]).includes(text);
}

/** One store, or two that must say the same. */
export function imagesOf(store: StoreOption, seed: number): readonly ImageKind[] {
  switch (store) {
    case "mixed":
      return [seed % 20 === 0 ? "sqlite" : "memory"];
    case "both":
      return ["memory", "sqlite"];
    default:
      return [store];
  }
}

/** The command that plays a seed once more, on the store on which it was played. */
export function replayOf(seed: number, images: readonly ImageKind[]): string {
  return `npm run simulate -- --seed ${seed} --store ${images.length > 1 ? "both" : images[0]}`;
}
