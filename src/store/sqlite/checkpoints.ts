import type { LogFrames } from "./log-copy.ts";
import { walFramesMax } from "./open.ts";

// When the log is copied into the file. The writer's thread says that it has grown; a thread of its own copies it beside
// the commits, so that none of them waits for the two syncs that this takes. What is written meanwhile is behind the
// copy, so the log goes on growing: when it is as long as it may be, the writer itself copies the rest, which is little by
// then, and begins it afresh. One of the two is under way at a time, as they would wait for each other's lock. A writer
// that is too far ahead of the copy does so too (writer-thread.ts), which holds it up until the copy is there.

export interface Checkpoints {
  /** So many frames came to the log that it should be copied. */
  logGrew(): void;
  /** Resolves when nothing is under way; nothing is begun any more. */
  stop(): Promise<void>;
}

export function createCheckpoints(options: {
  /** Beside the writer. Undefined when nothing could be copied, as on a full disk. */
  copy: () => Promise<LogFrames | undefined>;
  /** Between two commits of the writer. */
  restart: () => Promise<unknown>;
  /** The file can no longer be trusted. */
  onFatal: (message: string) => void;
}): Checkpoints {
  let underWay: Promise<void> | undefined;
  let grewMeanwhile = false;
  let stopped = false;

  async function run(): Promise<void> {
    do {
      grewMeanwhile = false;
      const frames = await options.copy();
      if (!stopped && frames !== undefined && frames.log >= walFramesMax) await options.restart();
    } while (grewMeanwhile && !stopped);
  }

  return {
    logGrew() {
      grewMeanwhile = true;
      if (underWay !== undefined || stopped) return;
      underWay = run()
        .catch((error: unknown) => options.onFatal(`checkpoint failed: ${String(error)}`))
        .finally(() => {
          underWay = undefined;
        });
    },
    async stop() {
      stopped = true;
      await underWay;
    },
  };
}
