import v8 from "node:v8";

/**
 * How much the old generation may grow before it is collected; V8's own choice is several times as much. At 30 the
 * collector took a quarter of the server's processor time under load, for 15 MiB less.
 */
const heapGrowingPercent = 100;

/**
 * Keeps the memory of a server near what it holds. V8 lets garbage pile up to several times the live heap, and gives
 * little of it back: 100,000 runs that were started in bulk left 430 MiB resident, 290 with this, at the same speed.
 */
export function keepHeapSmall(): void {
  v8.setFlagsFromString(`--heap-growing-percent=${heapGrowingPercent}`);
}
