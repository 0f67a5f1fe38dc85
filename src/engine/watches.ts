import { EngineError, refuse, shuttingDown } from "../core/errors.ts";
import type { RunEvent } from "../core/event.ts";
import { finalStatuses } from "../core/state.ts";
import { pageSizeMax, waitersMax, watchKeepAliveMs } from "../limits.ts";
import type { RunFilter } from "../store/store.ts";
import type { RunRef, RunView } from "./api.ts";
import type { Kernel } from "./kernel.ts";
import { getRun, pages, rowOf } from "./queries.ts";
import { viewOf } from "./run-view.ts";

// Watching: subscribe to the durable feed first, then read from the cursor on. The feed only wakes; what happened is
// read from the file, so a watcher can be slow without anything piling up.

/** Wakes one sleeper; a wake that comes while nobody sleeps is kept. */
function createBell(kernel: Kernel, signal: AbortSignal) {
  let rung = false;
  let wake: (() => void) | undefined;
  const ring = () => {
    rung = true;
    wake?.();
  };
  signal.addEventListener("abort", ring);
  return {
    ring,
    /** True when it was rung, false when the time is over. */
    async wait(timeoutMs: number): Promise<boolean> {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const cancel = kernel.alarms.set(kernel.clock.elapsedMs() + timeoutMs, resolve);
          wake = () => {
            cancel();
            resolve();
          };
        });
        wake = undefined;
      }
      const was = rung;
      rung = false;
      return was;
    },
    end: () => signal.removeEventListener("abort", ring),
  };
}

function refuseWhenDraining(kernel: Kernel): void {
  if (kernel.draining()) throw new EngineError(shuttingDown());
}

function claimWaiter(kernel: Kernel): void {
  if (kernel.watchers.size < waitersMax) return;
  throw new EngineError(refuse("BUSY", `${waitersMax} watches are open`, { retryAfterMs: 1_000 }));
}

export async function* watchRun(
  kernel: Kernel,
  ref: RunRef,
  options: { afterSeq: number; signal: AbortSignal },
): AsyncGenerator<RunEvent[]> {
  const { runNo } = rowOf(kernel, ref);
  claimWaiter(kernel);
  const bell = createBell(kernel, options.signal);
  const unwatch = kernel.watchers.watchRun(runNo, bell.ring);
  try {
    let { afterSeq } = options;
    for (;;) {
      const row = rowOf(kernel, ref);
      for await (const events of pages(kernel, row, afterSeq)) {
        yield events;
        afterSeq = events.at(-1)?.seq ?? afterSeq;
      }
      if (finalStatuses.has(row.status) || options.signal.aborted) return;
      refuseWhenDraining(kernel); // an end without an error would say that the run has ended
      if (!(await bell.wait(watchKeepAliveMs))) yield [];
      if (options.signal.aborted) return;
      refuseWhenDraining(kernel);
    }
  } finally {
    unwatch();
    bell.end();
  }
}

export async function* watchRuns(
  kernel: Kernel,
  filter: RunFilter,
  options: { cursor: { commitNo: number; runNo: number } | undefined; signal: AbortSignal },
): AsyncGenerator<{ runs: RunView[]; cursor: { commitNo: number; runNo: number } }> {
  claimWaiter(kernel);
  const bell = createBell(kernel, options.signal);
  const unwatch = kernel.watchers.watchCommits(bell.ring);
  try {
    let cursor = options.cursor ?? { commitNo: kernel.store.readMeta().commitNo, runNo: Number.MAX_SAFE_INTEGER };
    yield { runs: [], cursor };
    while (!options.signal.aborted) {
      refuseWhenDraining(kernel); // it has no end of its own: without an error a client would not know to come again
      const rows = await kernel.store.listChangedRuns(filter, {
        afterCommitNo: cursor.commitNo,
        afterRunNo: cursor.runNo,
        limit: pageSizeMax,
      });
      const last = rows.at(-1);
      if (last !== undefined) {
        cursor = { commitNo: last.commitNo, runNo: last.runNo };
        yield { runs: rows.map((row) => viewOf(kernel, row)), cursor };
        continue;
      }
      if (!(await bell.wait(watchKeepAliveMs))) yield { runs: [], cursor };
    }
  } finally {
    unwatch();
    bell.end();
  }
}

export async function waitRun(
  kernel: Kernel,
  ref: RunRef,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<{ run: RunView; timedOut: boolean }> {
  const { runNo } = rowOf(kernel, ref);
  claimWaiter(kernel);
  const bell = createBell(kernel, options.signal);
  // Only the end of the run is of interest: the steps on the way wake nobody.
  const unwatch = kernel.watchers.watchRun(runNo, (closed) => {
    if (closed || kernel.draining()) bell.ring();
  });
  try {
    const endsAtMs = kernel.clock.elapsedMs() + options.timeoutMs;
    for (;;) {
      const run = getRun(kernel, ref);
      if (finalStatuses.has(run.status)) return { run, timedOut: false };
      const remainingMs = endsAtMs - kernel.clock.elapsedMs();
      refuseWhenDraining(kernel);
      if (remainingMs <= 0 || options.signal.aborted) return { run, timedOut: true };
      await bell.wait(remainingMs);
    }
  } finally {
    unwatch();
    bell.end();
  }
}
