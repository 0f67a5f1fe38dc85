import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import {
  type ServerFrame,
  type SessionRequest,
  type WorkerFrame,
  WorkerService,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";

// A worker's end of the stream without any workflow code: what is pushed goes out with the next write.

type Frame = Exclude<WorkerFrame["frame"], { case: undefined }>;
type Received = Exclude<ServerFrame["frame"], { case: undefined }>;

export interface BenchStream {
  push(frame: Frame): void;
  stop(): void;
  /** Rejects when the stream breaks. */
  readonly ended: Promise<void>;
}

const beatIntervalMs = 10_000;

export function openStream(
  url: string,
  options: {
    readonly capacity: number;
    readonly onFrame: (frame: Received) => void;
    /** What a beat renews; left out, none is sent. */
    readonly held?: () => Iterable<Lease>;
    readonly workflow?: string;
    readonly identity?: string;
  },
): BenchStream {
  // As the SDKs do it: without compression.
  const transport = createGrpcTransport({ baseUrl: url, acceptCompression: [] });
  const client = createClient(WorkerService, transport);
  const abort = new AbortController();
  let waiting: Frame[] = [];
  let wake: (() => void) | undefined;
  let stopped = false;

  function push(frame: Frame): void {
    waiting.push(frame);
    wake?.();
    wake = undefined;
  }
  async function* requests(): AsyncGenerator<SessionRequest> {
    while (!stopped) {
      const frames = waiting;
      waiting = [];
      for (const frame of frames) {
        yield { $typeName: "everstep.v1.SessionRequest", frame: { $typeName: "everstep.v1.WorkerFrame", frame } };
      }
      if (waiting.length === 0 && !stopped) await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  push({
    case: "hello",
    value: {
      $typeName: "everstep.v1.Hello",
      protocolVersion: 1,
      workerInstanceId: `${options.identity ?? "bench"}-${process.pid}`,
      identity: options.identity ?? "bench",
      sdk: "raw",
      buildId: "",
      namespace: "",
      queues: ["default"],
      workflows: [options.workflow ?? "bench"],
      capacity: options.capacity,
      held: [],
    },
  });
  const { held } = options;
  let beatSeq = 0n;
  const beats =
    held === undefined
      ? undefined
      : setInterval(() => {
          const leases = [...held()].map(({ leaseId, epoch }) => ({
            $typeName: "everstep.v1.BeatLease" as const,
            leaseId,
            epoch,
            noticesSeen: 0n,
          }));
          push({ case: "beat", value: { $typeName: "everstep.v1.Beat", beatSeq: ++beatSeq, held: leases } });
        }, beatIntervalMs);

  const ended = (async () => {
    try {
      for await (const { frame } of client.session(requests(), { signal: abort.signal })) {
        if (frame?.frame.case === "frameRefused") throw new Error(frame.frame.value.message);
        if (frame?.frame.case !== undefined) options.onFrame(frame.frame);
      }
    } catch (error) {
      if (!stopped) throw error;
    }
  })();
  return {
    push,
    ended,
    stop() {
      stopped = true;
      clearInterval(beats);
      wake?.();
      abort.abort();
    },
  };
}

/** A broken stream ends the benchmark: its figures would mean nothing. */
export function failWith(ended: Promise<void>): void {
  ended.catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
