/** One for all calls that end in this turn of the event loop. */
let turnsEnd: Promise<void> | undefined;

/**
 * What a call brought about is on its way to a worker when this ends: sessions write their frames in the turn of the
 * event loop in which they come, the transport sends them at its end, and answering a call takes as long as all of that.
 */
export function framesFirst(): Promise<void> {
  turnsEnd ??= new Promise((resolve) =>
    setImmediate(() => {
      turnsEnd = undefined;
      resolve();
    }),
  );
  return turnsEnd;
}
