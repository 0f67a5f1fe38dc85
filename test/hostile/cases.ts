import fc from "fast-check";
import { expect } from "vitest";

/** HOSTILE_TIMES plays so many times as much. */
export const times = Number(process.env.HOSTILE_TIMES ?? 1);

/** Any unit of UTF-16, halves of characters among them. fast-check's own "binary" takes seconds to make. */
export const anyUnit = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code));

/**
 * The time limit of a property is there for a slow machine, and to fast-check a property that it cut short has held,
 * also after a single case. So this share of the cases must have been tried: on two busy cores each property gets there
 * in a tenth of its time.
 */
const casesMinShare = 1 / 6;

/** `fc.assert` with `times` as many cases, ended by a time limit at the earliest when enough cases were tried to say something. */
export async function assertCases<T>(
  property: fc.IAsyncPropertyWithHooks<T>,
  { numRuns, limitMs }: { readonly numRuns: number; readonly limitMs: number },
): Promise<void> {
  let cases = 0;
  property.beforeEach(() => {
    cases += 1;
  });
  await fc.assert(property, { numRuns: numRuns * times, interruptAfterTimeLimit: limitMs * times });
  expect(cases, "cases that were tried before the time was over").toBeGreaterThanOrEqual(
    numRuns * times * casesMinShare,
  );
}
