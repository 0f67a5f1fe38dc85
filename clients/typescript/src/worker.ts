import { type PayloadCodec, jsonCodec } from "./codec.ts";
import { type ConnectionOptions, createNodePorts } from "./connection.ts";
import { RunContext } from "./context.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { LeaseRun } from "./lease-run.ts";
import type { RunBody } from "./run-host.ts";
import { capacityDefault, drainTimeoutMsDefault } from "./limits.ts";
import { type Log, type SessionPorts, stderrLog, systemIdentity } from "./ports.ts";
import { Session } from "./session.ts";
import type { SessionState } from "./session-options.ts";
import { sdkName } from "./version.ts";
import type { AnyWorkflow, WorkflowFunction } from "./workflow.ts";

export interface WorkerOptions extends ConnectionOptions {
  /** The workflows that it can run. */
  readonly workflows: readonly AnyWorkflow[];
  /** Queues that it serves; default: "default". */
  readonly queues?: readonly string[] | undefined;
  /** How many runs it works on at the same time; default 10. Suspended runs do not count. */
  readonly capacity?: number | undefined;
  /** Default: EVERSTEP_NAMESPACE, else "default". */
  readonly namespace?: string | undefined;
  /** Default: JSON. */
  readonly codec?: PayloadCodec | undefined;
  /** A name for people; default: "host/pid". */
  readonly identity?: string | undefined;
  /** Version of the workflow code, shown to operators. */
  readonly buildId?: string | undefined;
  /** Default: warnings and errors to stderr. */
  readonly log?: Log | undefined;
  /** Clock, chance and network; default: the real ones. For simulations. */
  readonly ports?: SessionPorts | undefined;
}

export interface WorkerHealth {
  /** True while the session is up. */
  readonly connected: boolean;
  readonly sessionState: SessionState;
  readonly sessionId: string;
  /** Runs that it works on. */
  readonly held: number;
  readonly capacity: number;
  /** Why the last stream ended, until the next one is up. */
  readonly lastError: string | undefined;
}

/** Runs workflows: connects, gets leases pushed, and goes on for ever until it is drained. */
export class Worker {
  readonly #session: Session;
  #drained: Promise<void> | undefined;
  #closed!: () => void;
  readonly #end: Promise<void>;

  constructor(options: WorkerOptions) {
    const bodies = new Map<string, RunBody>();
    for (const { name, run } of options.workflows) {
      if (bodies.has(name)) throw new InvalidArgumentError(`workflow ${JSON.stringify(name)} is given twice`);
      bodies.set(name, bodyOf(run as WorkflowFunction<unknown, unknown>));
    }
    if (bodies.size === 0) throw new InvalidArgumentError("a worker needs at least one workflow");
    const ports = options.ports ?? createNodePorts(options);
    this.#end = new Promise((resolve) => (this.#closed = resolve));
    this.#session = new Session(ports, {
      instanceId: ports.newId(),
      identity: options.identity ?? systemIdentity(),
      sdk: sdkName,
      buildId: options.buildId ?? "",
      namespace: options.namespace ?? process.env.EVERSTEP_NAMESPACE ?? "",
      queues: options.queues ?? ["default"],
      bodies,
      capacity: checkCapacity(options.capacity ?? capacityDefault),
      codec: options.codec ?? jsonCodec,
      log: options.log ?? stderrLog,
    });
  }

  /** Begins to work and returns; `drain` or `close` ends it. */
  start(): this {
    this.#session.start();
    return this;
  }

  /** Works until SIGTERM, SIGINT, `drain` or `close`; resolves when it has ended. */
  async run(): Promise<void> {
    const stop = (): void => void this.drain();
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    try {
      this.start();
      await this.#end;
    } finally {
      process.off("SIGTERM", stop);
      process.off("SIGINT", stop);
    }
  }

  /**
   * Takes no more work, lets running steps finish, gives the runs back and ends. Steps that are still running after
   * `timeoutMs` (default 30 s) are aborted and run again elsewhere.
   */
  drain(timeoutMs: number = drainTimeoutMsDefault): Promise<void> {
    this.#drained ??= this.#session.drain(timeoutMs).then(this.#closed);
    return this.#drained;
  }

  /** Ends at once: handlers are aborted, and their runs go on elsewhere when their leases have ended. */
  close(): void {
    this.#session.close();
    this.#closed();
  }

  /** Changes how many runs it works on at the same time; 0 takes no more. */
  setCapacity(capacity: number): void {
    this.#session.setCapacity(checkCapacity(capacity));
  }

  health(): WorkerHealth {
    const { connected, state, sessionId, held, capacity, lastError } = this.#session;
    return { connected, sessionState: state, sessionId, held, capacity, lastError };
  }
}

/** Turns a plain function that throws at once into a rejection, too. */
function bodyOf(run: WorkflowFunction<unknown, unknown>): RunBody {
  return async (leaseRun: LeaseRun, input: unknown) => run(new RunContext(leaseRun), input);
}

function checkCapacity(capacity: number): number {
  if (Number.isInteger(capacity) && capacity >= 0 && capacity <= 100_000) return capacity;
  throw new InvalidArgumentError(`capacity is a whole number from 0 to 100000, not ${capacity}`);
}
