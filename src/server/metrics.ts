import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Engine } from "../engine/api.ts";
import type { Counters } from "../engine/telemetry.ts";

// /metrics. The engine counts in plain numbers; they are copied into the registry when somebody asks.

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** A call has ended. `seconds` is given for unary calls only: a stream's duration says nothing. */
  countCall(method: string, code: string, seconds: number | undefined): void;
  streamOpened(method: string): void;
  streamClosed(method: string): void;
}

const counterHelp: Readonly<Record<keyof Counters, string>> = {
  commits: "Transactions that became durable",
  events: "Events that became durable",
  ops: "Ops that came in",
  opsRefused: "Ops that were refused",
  grants: "Leases granted",
  expiries: "Leases that expired",
  undelivered: "Leases that were taken back before they were sent",
  unaccepted: "Leases that were offered and not accepted in time",
  hellos: "Hellos of workers",
  hellosPutOff: "Hellos that were told to come back later, because too many came in one second",
  slowConsumers: "Streams cut because the worker did not read",
  commitMsTotal: "Time spent in commits, in milliseconds",
};

export function createMetrics(engine: Engine): Metrics {
  const registers = [new Registry()];
  const registry = registers[0] as Registry;
  collectDefaultMetrics({ register: registry });

  for (const name of Object.keys(counterHelp) as (keyof Counters)[]) {
    new Counter({
      name: `everstep_${snakeCase(name)}${name.endsWith("Total") ? "" : "_total"}`,
      help: counterHelp[name],
      registers,
      collect() {
        this.reset();
        this.inc(engine.status().counters[name]);
      },
    });
  }
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `everstep_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("sessions", "Sessions of workers", () => engine.status().sessions);
  gauge("leases", "Live leases", () => engine.status().leases);
  gauge("mailbox_length", "Commands that wait to be decided", () => engine.status().mailbox);
  gauge("clock_ahead_ms", "How far server time is ahead of the wall clock", () => engine.status().clockAheadMs);
  gauge("writable", "1 while changes are accepted, 0 when the disk is full or the store has failed", () =>
    engine.status().writer === "open" ? 1 : 0,
  );
  gauge("draining", "1 while the server hands out no more work", () => (engine.status().draining ? 1 : 0));
  gauge("database_bytes", "Size of the database file", () => engine.fileBytes().databaseBytes);
  gauge("wal_bytes", "Size of the write-ahead log", () => engine.fileBytes().walBytes);

  const calls = new Counter({
    name: "everstep_rpc_total",
    help: "Calls that have ended, by method and code",
    labelNames: ["method", "code"],
    registers,
  });
  const durations = new Histogram({
    name: "everstep_rpc_duration_seconds",
    help: "Duration of unary calls",
    labelNames: ["method"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    registers,
  });
  const streams = new Gauge({
    name: "everstep_rpc_streams",
    help: "Streams that are open",
    labelNames: ["method"],
    registers,
  });
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    countCall(method, code, seconds) {
      calls.inc({ method, code });
      if (seconds !== undefined) durations.observe({ method }, seconds);
    },
    streamOpened: (method) => streams.inc({ method }),
    streamClosed: (method) => streams.dec({ method }),
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
