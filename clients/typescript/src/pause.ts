import type { Clock } from "./ports.ts";

/** Resolves after a time; rejects with the signal's reason when it fires first. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Resolves when `begin`'s callback is called, at the latest after `timeoutMs`. */
export function bounded(clock: Clock, timeoutMs: number, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(timeoutMs, resolve);
    begin(() => {
      timer.cancel();
      resolve();
    });
  });
}
