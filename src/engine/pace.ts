import type { Clock } from "./clock.ts";

// When a commit begins. On a quick disk at once, and where there is more to do than one carries, the next is begun before
// this one has ended: both cores have work. On a slow one a sync costs more than deciding: what misses a commit waits a
// whole sync longer, so few large commits are made.
//
// Behind a commit on a slow disk the next one is delayed a little (`commit_delay`, as databases call it). Workers have just
// been answered, and in a moment they will ask for as much again; begun at once, the commit would take with it only what
// came while the last one was under way, and the two halves of the workers would wait for every second commit for ever.

export interface PaceLimits {
  readonly headStartCommandsMin: number;
  readonly queuedEventsMin: number;
  readonly quickCommitMs: number;
  readonly quickEventMs: number;
  readonly commitDelayShare: number;
  readonly commitDelayMsMax: number;
}

export interface Pace {
  /** A commit begins, and no other is under way. */
  began(): void;
  /** The oldest commit has ended, with so many events. How long it took, at most since the one before it ended. */
  ended(events: number): number;
  /** How many of the commands that wait go to an idle disk while the others are decided; Infinity when none do. */
  headStartCommands(waiting: number): number;
  /** What is decided goes to the store behind the commit under way. */
  isWorthQueueing(events: number, eventsUnderWay: number): boolean;
  /**
   * Behind a commit of so many events that were asked for: delays the next, for which so many were decided, where that gains
   * something.
   */
  delay(answered: number, decided: number): void;
  /** The next commit is to wait; not when as much was decided as the delay is for. */
  isDelayed(decided: number): boolean;
  /** The next commit waits no longer. */
  release(): void;
}

export function createPace(clock: Clock, limits: PaceLimits, onDelayOver: () => void): Pace {
  let startedAtMs = 0;
  let lastMs = 0;
  /** The last commit took longer than its rows explain. */
  let slowDisk = false;
  let delayed: { readonly wanted: number; readonly cancel: () => void } | undefined;

  function release(): void {
    delayed?.cancel();
    delayed = undefined;
  }
  return {
    release,
    began() {
      startedAtMs = clock.elapsedMs();
    },
    ended(events) {
      const nowMs = clock.elapsedMs();
      lastMs = nowMs - startedAtMs;
      startedAtMs = nowMs;
      slowDisk = lastMs > limits.quickCommitMs + limits.quickEventMs * events;
      return lastMs;
    },
    headStartCommands(waiting) {
      if (slowDisk || waiting < 2 * limits.headStartCommandsMin) return Number.POSITIVE_INFINITY;
      return Math.floor(waiting / 2);
    },
    isWorthQueueing(events, eventsUnderWay) {
      // One that is smaller than the one before it would only make more commits of the same events. At least one: what
      // writes nothing is answered at once, and must not be before the commit under way is durable.
      return !slowDisk && events >= Math.max(1, limits.queuedEventsMin, eventsUnderWay);
    },
    delay(answered, decided) {
      if (!slowDisk || answered === 0 || decided === 0) return;
      const ms = Math.min(lastMs * limits.commitDelayShare, limits.commitDelayMsMax);
      const cancel = clock.setTimer(clock.elapsedMs() + ms, () => {
        delayed = undefined;
        onDelayOver();
      });
      delayed = { wanted: answered + decided, cancel };
    },
    isDelayed(decided) {
      return delayed !== undefined && decided < delayed.wanted;
    },
  };
}
