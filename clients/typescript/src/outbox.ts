// Ops of all leases that wait for the stream. They leave once per turn of the event loop, many in a frame: that is what
// makes the stream fast. A step's start is announced here and becomes an op only if the step is still running when the
// frame is built; a step that is over by then sends its result alone.
import type { Op } from "../../../gen/ts/everstep/v1/change_pb.ts";
import type { OutgoingOp } from "./op-pipe.ts";

/** Something that may still be running when the frame is built. */
export interface Announcement {
  /** Submits the op if it is still needed. */
  materialise(): void;
}

export class Outbox {
  readonly #plan: () => void;
  #queue: OutgoingOp[] = [];
  #announced: Announcement[] = [];

  /** `plan` is called whenever there is something to send. */
  constructor(plan: () => void) {
    this.#plan = plan;
  }

  get length(): number {
    return this.#queue.length;
  }

  enqueue(op: OutgoingOp): void {
    this.#queue.push(op);
    this.#plan();
  }

  announce(announcement: Announcement): void {
    this.#announced.push(announcement);
    this.#plan();
  }

  /** Takes back an op that has not left. Rare: only after a refusal. */
  remove(op: OutgoingOp): void {
    const index = this.#queue.indexOf(op);
    if (index >= 0) this.#queue.splice(index, 1);
  }

  materialise(): void {
    if (this.#announced.length === 0) return;
    const announced = this.#announced;
    this.#announced = [];
    for (const announcement of announced) announcement.materialise();
  }

  /** The ops of the next frame, oldest first, within both limits. */
  take(opsMax: number, bytesMax: number): Op[] {
    const queue = this.#queue;
    let count = 0;
    let bytes = 0;
    while (count < queue.length && count < opsMax) {
      bytes += queue[count]?.bytes ?? 0;
      if (count > 0 && bytes > bytesMax) break;
      count += 1;
    }
    const taken = count === queue.length ? queue : queue.slice(0, count);
    this.#queue = count === queue.length ? [] : queue.slice(count);
    return taken.map((op) => op.leave());
  }

  /** After a cut: everything that is not acknowledged is queued again by its pipe. */
  clear(): void {
    this.#queue = [];
  }
}
