import { EngineError, shuttingDown } from "../core/errors.ts";
import * as limits from "../limits.ts";
import type { Store } from "../store/store.ts";
import { createAcquires } from "./acquire.ts";
import { createAlarms } from "./alarms.ts";
import type { Engine } from "./api.ts";
import type { Clock } from "./clock.ts";
import { setAside, watchForCorruption } from "./corruption.ts";
import { createDeadlines } from "./deadlines.ts";
import { createDue } from "./due.ts";
import { explainRun } from "./explain.ts";
import { leaseHooks } from "./granting.ts";
import { grantWhatMatches } from "./granting.ts";
import type { EngineSettings, Kernel } from "./kernel.ts";
import { createLeaseLife } from "./lease-life.ts";
import { applyClaimed, applyUnary, releaseLease, renewLease } from "./lease-commands.ts";
import { createLeases } from "./leases.ts";
import { createLines } from "./lines.ts";
import * as queries from "./queries.ts";
import type { Random } from "./random.ts";
import { createRecorder } from "./recorder.ts";
import { recover } from "./recovery.ts";
import * as runCommands from "./run-commands.ts";
import { createRunKeys } from "./run-keys.ts";
import { createRunTable } from "./run-table.ts";
import { createServerTime } from "./server-time.ts";
import { createSessions } from "./sessions.ts";
import { createTakers } from "./takers.ts";
import { createCounters, type Log } from "./telemetry.ts";
import { createWatchers } from "./watchers.ts";
import { waitRun, watchRun, watchRuns } from "./watches.ts";
import { createWriter } from "./writer.ts";

// Builds the parts of the engine and ties them together. One engine owns one store.

export interface EngineOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly leaseTtlMs?: number;
  readonly payloadBytesMax?: number;
  /** Take the wall clock as it is, even when the file is ahead of it. */
  readonly resetClock?: boolean;
  /** Windows into the file; tests make them as small as one. */
  readonly runCacheMax?: number;
  readonly runCacheStepsMax?: number;
  readonly lineWindowMax?: number;
  readonly deadlineHorizonMax?: number;
  /** Tests let the smallest commit wait behind another. */
  readonly queuedEventsMin?: number;
  readonly decideLimits?: Partial<EngineSettings["decide"]>;
  /** Nothing is acknowledged any more: the process must end. */
  readonly onFatal: (message: string) => void;
}

function settingsOf(options: EngineOptions): EngineSettings {
  return {
    leaseTtlMs: options.leaseTtlMs ?? limits.leaseTtlMsDefault,
    payloadBytesMax: options.payloadBytesMax ?? limits.payloadBytesMax,
    decide: {
      historyEventsMax: limits.historyEventsMax,
      historyBytesMax: limits.historyBytesMax,
      reservedEvents: limits.historyReservedEvents,
      reservedBytes: limits.historyReservedBytes,
      openSignalsMax: limits.openSignalsMax,
      pendingTimersMax: limits.pendingTimersMax,
      deliveriesMax: limits.deliveriesMax,
      ...options.decideLimits,
    },
    runCacheMax: options.runCacheMax ?? limits.runCacheMax,
    lineWindowMax: options.lineWindowMax ?? limits.lineWindowMax,
    deadlineHorizonMax: options.deadlineHorizonMax ?? limits.deadlineHorizonMax,
  };
}

export function createEngineOn(options: EngineOptions): Engine {
  const { clock, random, log } = options;
  const store = watchForCorruption(options.store, (error) => setAside(kernel, error));
  const settings = settingsOf(options);
  const meta = store.readMeta();
  let lastRunNo = meta.lastRunNo;
  let draining = false;
  let stopping = false;

  const kernel = { store, clock, random, log, settings } as { -readonly [K in keyof Kernel]: Kernel[K] };
  kernel.time = createServerTime(clock, meta.newestAtMs, options.resetClock === true);
  if (kernel.time.aheadMs > 1_000) {
    log.warn({ aheadMs: Math.round(kernel.time.aheadMs) }, "server time is ahead of the wall clock");
  }
  kernel.counters = createCounters();
  kernel.alarms = createAlarms(clock);
  kernel.draining = () => draining;
  kernel.nextRunNo = () => ++lastRunNo;
  kernel.runs = createRunTable({
    // Not the watched one: what was set aside before is loaded without another word.
    store: options.store,
    runsMax: settings.runCacheMax,
    stepsMax: options.runCacheStepsMax ?? limits.runCacheStepsMax,
    leased: () => kernel.leases.size,
    onCorrupt: (error) => setAside(kernel, error),
  });
  kernel.runKeys = createRunKeys(store, kernel.runs);
  kernel.lines = createLines({ store, windowMax: settings.lineWindowMax });
  kernel.deadlines = createDeadlines({ store, horizonMax: settings.deadlineHorizonMax });
  kernel.leases = createLeases();
  kernel.watchers = createWatchers();
  kernel.takers = createTakers(kernel.lines, (namespace, queue) => [
    ...new Set([...store.listLineWorkflows(namespace, queue), ...kernel.lines.overlayWorkflows(namespace, queue)]),
  ]);
  kernel.recorder = createRecorder(
    kernel,
    leaseHooks(() => kernel),
  );
  kernel.leaseLife = createLeaseLife(kernel);
  const due = createDue(kernel);
  kernel.writer = createWriter({
    store,
    clock,
    log,
    limits: { ...limits, queuedEventsMin: options.queuedEventsMin ?? limits.queuedEventsMin },
    hooks: {
      nowMs: () => kernel.time.nowMs(),
      gather: (transaction) => due.gather(transaction),
      seal(transaction, alone) {
        if (!alone && !draining) grantWhatMatches(kernel, transaction);
        kernel.recorder.seal(transaction);
        due.arm();
      },
      durable(batch, commitMs) {
        kernel.counters.commits += 1;
        kernel.counters.commitMsTotal += commitMs;
        kernel.counters.events += batch.events.length;
        kernel.recorder.durable(batch.commitNo);
        kernel.runKeys.durable(batch.commitNo);
        kernel.watchers.durable(batch);
      },
      rebuild() {
        kernel.recorder.reset();
        recover(kernel);
      },
      reopened: () => due.arm(),
      fatal(message) {
        log.error({ message }, "nothing is acknowledged any more: the server stops");
        options.onFatal(message);
      },
    },
  });
  const sessions = createSessions(kernel);
  const acquires = createAcquires(kernel);
  try {
    recover(kernel);
    due.arm();
    kernel.writer.nudge();
    watchForGaps();
  } catch (error) {
    // What was armed or submitted so far would meet a store that is closed by then.
    kernel.writer.stop();
    kernel.alarms.stop();
    throw error;
  }

  /** When the process stood still (SIGSTOP, a suspended laptop), no worker could renew: nobody loses a lease for it. */
  function watchForGaps(): void {
    const periodMs = Math.min(1_000, settings.leaseTtlMs / 6);
    let lastMs = clock.elapsedMs();
    const tick = () => {
      const nowMs = clock.elapsedMs();
      if (nowMs - lastMs - periodMs > settings.leaseTtlMs / 3) {
        log.warn({ gapMs: Math.round(nowMs - lastMs) }, "the process stood still: all leases get a fresh TTL");
        kernel.leaseLife.forgiveAll();
      }
      lastMs = nowMs;
      kernel.alarms.set(nowMs + periodMs, tick);
    };
    kernel.alarms.set(lastMs + periodMs, tick);
  }

  function admit(): void {
    if (stopping || kernel.writer.state === "stopped") {
      throw new EngineError(shuttingDown());
    }
  }
  async function commanded(
    ref: { namespace: string; runId: string },
    command: Parameters<typeof runCommands.commandRun>[2],
  ) {
    admit();
    await runCommands.commandRun(kernel, ref, command);
    return queries.getRun(kernel, ref);
  }

  return {
    settings,
    async startRun(request) {
      admit();
      return runCommands.startRun(kernel, request);
    },
    async startRuns(requests) {
      admit();
      return runCommands.startRuns(kernel, requests);
    },
    async signalWithStartRun(start, signal) {
      admit();
      const { ref, started, signalSeq } = await runCommands.signalWithStart(kernel, start, signal);
      return { run: queries.getRun(kernel, ref), started, signalSeq };
    },
    async signalRun(ref, signal) {
      admit();
      return runCommands.signalRun(kernel, ref, signal);
    },
    cancelRun: (ref, { reason, graceMs }) => commanded(ref, { type: "CancelRun", reason, graceMs }),
    terminateRun: (ref, { reason }) => commanded(ref, { type: "TerminateRun", reason }),
    pauseRun: (ref, { reason, graceMs }) => commanded(ref, { type: "PauseRun", reason, graceMs }),
    resumeRun: (ref, resolution) => commanded(ref, { type: "ResumeRun", resolution }),
    retryRun: (ref, { reason, requestId }) => commanded(ref, { type: "RetryRun", reason, requestId }),

    async getRun(ref) {
      return queries.getRun(kernel, ref);
    },
    listRuns: (filter, page) => queries.listRuns(kernel, filter, page),
    countRuns: (filter) => store.countRuns(filter),
    history: (ref, page) => queries.history(kernel, ref, page),
    watchRun: (ref, watch) => watchRun(kernel, ref, watch),
    watchRuns: (filter, watch) => watchRuns(kernel, filter, watch),
    waitRun: (ref, wait) => waitRun(kernel, ref, wait),
    listSteps: (ref, page) => queries.listSteps(kernel, ref, page),
    listSignals: (ref, page) => queries.listSignals(kernel, ref, page),
    async listTimers(ref) {
      return queries.timersOf(await queries.foldRun(kernel, queries.rowOf(kernel, ref)));
    },
    stepStats: ({ namespace, workflow }) => store.stepStats({ namespace, workflow, limit: limits.pageSizeMax }),
    explainRun: (ref) => explainRun(kernel, ref),

    async acquireLease(request, signal) {
      admit();
      return acquires.acquire(request, signal);
    },
    async renewLease(request) {
      admit();
      return renewLease(kernel, request);
    },
    async releaseLease(request) {
      admit();
      await new Promise<void>((resolve, reject) => {
        releaseLease(kernel, request, (refusal) =>
          refusal === undefined ? resolve() : reject(new EngineError(refusal)),
        );
      });
    },
    async applyUnary(op) {
      admit();
      return applyUnary(kernel, op);
    },
    async applyClaimed(op) {
      admit();
      return applyClaimed(kernel, op);
    },
    async addTimer(ref, firesAtMs) {
      admit();
      return runCommands.addTimer(kernel, ref, firesAtMs);
    },
    async takeSignal(ref) {
      admit();
      return runCommands.takeSignal(kernel, ref);
    },
    leaseExpiresAtMs(runNo) {
      const live = kernel.leases.ofRun(runNo);
      if (live === undefined || live.ending) return 0;
      return Math.round(kernel.time.nowMs() + live.expiresAtMs - clock.elapsedMs());
    },
    nowMs: () => kernel.time.nowMs(),
    openSession: (sink) => sessions.open(sink),

    status: () => ({
      writer: kernel.writer.state,
      draining: draining || stopping,
      sessions: sessions.size,
      leases: kernel.leases.size,
      mailbox: kernel.writer.waiting,
      clockAheadMs: kernel.time.aheadMs,
      counters: kernel.counters,
    }),
    drain() {
      if (draining) return;
      draining = true;
      sessions.drain();
      acquires.endAll();
      kernel.watchers.wakeAll();
    },
    async stop() {
      if (stopping) return;
      stopping = true;
      draining = true;
      sessions.drain();
      acquires.endAll();
      kernel.watchers.wakeAll();
      if (kernel.writer.state === "open") await kernel.writer.idle();
      sessions.endAll();
      kernel.writer.stop();
      kernel.alarms.stop();
      await store.close();
    },
    backup: (path) => store.backup(path),
    fileBytes: () => store.fileBytes(),
  };
}
