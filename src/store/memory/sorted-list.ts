/** An array in order, with binary search. Enough for an oracle: inserts cost a move of what is behind. */
export interface SortedList<T> {
  insert(item: T): void;
  /** Removes the item that compares equal; false when there is none. */
  remove(item: T): boolean;
  /** Up to `limit` items strictly behind `item`; from the start when undefined. */
  after(item: T | undefined, limit: number): T[];
  readonly length: number;
}

export function createSortedList<T>(compare: (a: T, b: T) => number): SortedList<T> {
  const items: T[] = [];

  /** Index of the first item that is not before (or, with `behind`, strictly behind) the given one. */
  function search(item: T, behind: boolean): number {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compare(items[middle] as T, item);
      if (order < 0 || (behind && order === 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    insert(item) {
      items.splice(search(item, true), 0, item);
    },
    remove(item) {
      const index = search(item, false);
      const found = items[index];
      if (found === undefined || compare(found, item) !== 0) return false;
      items.splice(index, 1);
      return true;
    },
    after(item, limit) {
      const from = item === undefined ? 0 : search(item, true);
      return items.slice(from, from + limit);
    },
    get length() {
      return items.length;
    },
  };
}

/** Order of the UTF-8 bytes, as SQLite compares texts: that of the code points, not of JavaScript's UTF-16 units. */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA === unitB) continue;
    return surrogatesLast(unitA) - surrogatesLast(unitB);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all single units: they move behind 0xE000-0xFFFF. */
function surrogatesLast(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
