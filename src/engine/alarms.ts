import type { Clock } from "./clock.ts";

// One heap for everything that is due at an instant: lease expiry, accept timeouts, durable deadlines, pings, waits.
// One timer of the clock stands for its earliest entry. An alarm that is no longer wanted is left in place and asked
// when it comes up: cheaper than finding it, and a renewal touches no heap at all.

export interface Alarms {
  /** Calls `due` once at or after the elapsed instant. The result takes the wish back. */
  set(atElapsedMs: number, due: () => void): () => void;
  stop(): void;
}

interface Alarm {
  readonly atMs: number;
  readonly order: number;
  due: (() => void) | undefined;
}

export function createAlarms(clock: Clock): Alarms {
  const heap: Alarm[] = [];
  let order = 0;
  let armedAtMs = Number.POSITIVE_INFINITY;
  let disarm: (() => void) | undefined;
  let stopped = false;
  let cancelled = 0;

  function before(a: Alarm, b: Alarm): boolean {
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }
  function push(alarm: Alarm): void {
    let i = heap.length;
    heap.push(alarm);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Alarm;
      if (!before(alarm, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = alarm;
  }
  function pop(): void {
    const last = heap.pop() as Alarm;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Alarm, heap[child] as Alarm)) child += 1;
      if (!before(heap[child] as Alarm, last)) break;
      heap[i] = heap[child] as Alarm;
      i = child;
    }
    heap[i] = last;
  }
  /** Leases that end long before their alarm must not fill the heap: when most of it is void, it is built anew. */
  function compact(): void {
    const wanted = heap.filter((alarm) => alarm.due !== undefined);
    heap.length = 0;
    cancelled = 0;
    for (const alarm of wanted) push(alarm);
  }
  function arm(): void {
    while (heap.length > 0 && (heap[0] as Alarm).due === undefined) {
      pop();
      cancelled -= 1;
    }
    const next = heap[0];
    if (next === undefined || stopped) return;
    if (next.atMs >= armedAtMs) return;
    disarm?.();
    armedAtMs = next.atMs;
    disarm = clock.setTimer(next.atMs, ring);
  }
  function ring(): void {
    armedAtMs = Number.POSITIVE_INFINITY;
    disarm = undefined;
    const nowMs = clock.elapsedMs();
    while (!stopped) {
      const next = heap[0];
      if (next === undefined || next.atMs > nowMs) break;
      pop();
      const { due } = next;
      if (due === undefined) cancelled -= 1;
      next.due = undefined;
      due?.();
    }
    arm();
  }
  return {
    set(atElapsedMs, due) {
      const alarm: Alarm = { atMs: atElapsedMs, order: order++, due };
      push(alarm);
      arm();
      return () => {
        if (alarm.due === undefined) return;
        alarm.due = undefined;
        cancelled += 1;
        if (cancelled > 1_024 && cancelled > heap.length / 2) compact();
      };
    },
    stop() {
      stopped = true;
      heap.length = 0;
      disarm?.();
    },
  };
}
