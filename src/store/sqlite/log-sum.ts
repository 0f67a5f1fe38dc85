/** The two running sums of SQLite's log, as signed 32-bit numbers. */
export type Sum = readonly [number, number];

/** Goes on from `before` over the bytes from `from` to `to`, two words at a time. */
export function sumOf(before: Sum, view: DataView, from: number, to: number, littleEndian: boolean): Sum {
  let [first, second] = before;
  for (let at = from; at < to; at += 8) {
    first = (first + view.getInt32(at, littleEndian) + second) | 0;
    second = (second + view.getInt32(at + 4, littleEndian) + first) | 0;
  }
  return [first, second];
}

/**
 * Whether `found`, the sum over a frame, would be `told` but for one bit: of the frame's summed words, or of the told sum
 * itself. A torn write does not look like that: of 2^64 sums some 130,000 are that near.
 *
 * The sums are linear, so a bit of a word moves both by a power of two times what that word's place weighs; the weights
 * grow like Fibonacci's numbers from the last word to the first.
 */
export function flippedBitExplains(found: Sum, told: Sum, summedBytes: number): boolean {
  const moved: Sum = [(told[0] - found[0]) | 0, (told[1] - found[1]) | 0];
  if (bits(told[0] ^ found[0]) + bits(told[1] ^ found[1]) === 1) return true;
  let even: Sum = [1, 1];
  let odd: Sum = [0, 1];
  for (let pair = 0; pair < summedBytes / 8; pair++) {
    for (let bit = 0; bit < 32; bit++) {
      const by = 1 << bit;
      if (isTimes(moved, by, even) || isTimes(moved, -by, even)) return true;
      if (isTimes(moved, by, odd) || isTimes(moved, -by, odd)) return true;
    }
    even = onePairEarlier(even);
    odd = onePairEarlier(odd);
  }
  return false;
}

function isTimes(moved: Sum, by: number, weight: Sum): boolean {
  return Math.imul(by, weight[0]) === moved[0] && Math.imul(by, weight[1]) === moved[1];
}

function onePairEarlier([first, second]: Sum): Sum {
  const next = (first + second) | 0;
  return [next, (second + next) | 0];
}

function bits(word: number): number {
  let count = 0;
  for (let left = word; left !== 0; left &= left - 1) count += 1;
  return count;
}
