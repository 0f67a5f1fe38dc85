/** The part of a pino logger that the engine uses. */
export interface Log {
  debug(fields: object, message: string): void;
  info(message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Counters that /metrics reads. Plain numbers: counting must cost nothing on the hot path. */
export interface Counters {
  commits: number;
  events: number;
  ops: number;
  opsRefused: number;
  grants: number;
  expiries: number;
  undelivered: number;
  unaccepted: number;
  hellos: number;
  hellosPutOff: number;
  slowConsumers: number;
  commitMsTotal: number;
}

export function createCounters(): Counters {
  return {
    commits: 0,
    events: 0,
    ops: 0,
    opsRefused: 0,
    grants: 0,
    expiries: 0,
    undelivered: 0,
    unaccepted: 0,
    hellos: 0,
    hellosPutOff: 0,
    slowConsumers: 0,
    commitMsTotal: 0,
  };
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
