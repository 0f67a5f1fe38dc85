import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Engine } from "../../src/engine/api.ts";
import { createEngineOn } from "../../src/engine/engine.ts";
import { silentLog } from "../../src/engine/telemetry.ts";
import { sessionResponses } from "../../src/server/convert/server-frame.ts";
import { createFrameReader } from "../../src/server/worker-frames.ts";
import type { Store } from "../../src/store/store.ts";
import { type ServerFrame, ServerFrameSchema, WorkerFrameSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Chance } from "./chance.ts";
import type { Conversation } from "./conversation.ts";
import type { Connection, End } from "./network.ts";
import { Process, type Timeline } from "./timeline.ts";

// One life of the server: the real engine on what the disk holds. The pump of a stream is that of the wire.

const takeBytesMax = 256 * 1024;

export class Server {
  readonly process: Process;
  readonly engine: Engine;
  readonly store: Store;
  readonly #conversation: Conversation;

  constructor(options: {
    timeline: Timeline;
    name: string;
    chance: Chance;
    openStore: (process: Process) => Store;
    wallAheadMs: number;
    leaseTtlMs: number;
    windowMax: number;
    conversation: Conversation;
    onFatal: () => void;
  }) {
    const { timeline, chance } = options;
    this.process = new Process(timeline, options.name);
    this.#conversation = options.conversation;
    const { process } = this;
    this.store = options.openStore(process);
    this.engine = createEngineOn({
      store: this.store,
      clock: {
        elapsedMs: () => timeline.nowMs,
        wallMs: () => Date.UTC(2026, 0, 1) + timeline.nowMs + options.wallAheadMs,
        setTimer: (atMs, run) => process.at(atMs, run),
        defer: (run) => void process.in(0, run),
      },
      random: { hex: (bytes) => chance.hex(bytes), float: () => chance.float() },
      log: silentLog,
      leaseTtlMs: options.leaseTtlMs,
      runCacheMax: options.windowMax,
      lineWindowMax: options.windowMax,
      deadlineHorizonMax: options.windowMax,
      onFatal: options.onFatal,
    });
  }

  /** The server's end of a new stream. */
  accept(connection: () => Connection): End {
    const { process } = this;
    const conversation = this.#conversation;
    let ended = false;
    let finished = false;
    let sawWake = false;
    const pump = (): void => {
      sawWake = false;
      for (;;) {
        const frames = handle.take(takeBytesMax);
        if (frames.length === 0) break;
        for (const response of sessionResponses(frames)) {
          if (response.frame === undefined) continue;
          conversation.told(response.frame as ServerFrame);
          connection().send(1, toBinary(ServerFrameSchema, response.frame));
        }
      }
      if (ended && !finished) {
        finished = true;
        connection().finish(1);
      }
    };
    const soon = (): void => {
      if (sawWake) return;
      sawWake = true;
      process.in(0, pump);
    };
    const end = (): void => {
      ended = true;
      soon();
    };
    const handle = this.engine.openSession({ wake: soon, end });
    const reader = createFrameReader(handle, {
      payloadBytesMax: this.engine.settings.payloadBytesMax,
      onBadHello: () => {
        handle.closed();
        end();
      },
    });
    return {
      process,
      message: (bytes) => {
        if (ended) return;
        const frame = fromBinary(WorkerFrameSchema, bytes);
        conversation.asked(frame);
        reader.read(frame);
      },
      finished: () => {
        if (!reader.saidGoodbye && !ended) handle.halfClosed();
      },
      broken: () => {
        handle.closed();
        ended = finished = true;
      },
    };
  }
}
