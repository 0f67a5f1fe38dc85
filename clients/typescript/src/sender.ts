// What waits for the stream. Everything of one turn of the event loop leaves together: acceptances first, because ops
// stand under them; then ops, many in a frame; releases last, because they end the leases of earlier ops.
import type { Lease } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import * as frames from "./frames.ts";
import { frameBytesMax, frameOpsMaxDefault } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import type { FrameStream } from "./ports.ts";

export class Sender {
  readonly outbox: Outbox;
  frameOpsMax = frameOpsMaxDefault;
  readonly #defer: (run: () => void) => void;
  #stream: FrameStream | undefined;
  #planned = false;
  #accepts: Lease[] = [];
  #releases = new Map<number, Lease[]>();

  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
    this.outbox = new Outbox(() => this.plan());
  }

  /** True when nothing waits. */
  get idle(): boolean {
    return this.outbox.length === 0 && this.#accepts.length === 0 && this.#releases.size === 0;
  }

  /** Frames leave over this stream from now on; undefined: nothing leaves. */
  attach(stream: FrameStream | undefined): void {
    this.#stream = stream;
    if (stream === undefined) {
      // Hello speaks for both: what it lists is accepted, what it does not list is released.
      this.#accepts = [];
      this.#releases.clear();
    } else this.plan();
  }

  accept(lease: Lease): void {
    if (this.#stream === undefined) return;
    this.#accepts.push(lease);
    this.plan();
  }

  release(lease: Lease, retryAfterMs: number): void {
    if (this.#stream === undefined) return;
    const same = this.#releases.get(retryAfterMs);
    if (same === undefined) this.#releases.set(retryAfterMs, [lease]);
    else same.push(lease);
    this.plan();
  }

  plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    this.#defer(() => {
      this.#planned = false;
      this.flush();
    });
  }

  flush(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#accepts.length > 0) {
      stream.send(frames.acceptFrame(this.#accepts));
      this.#accepts = [];
    }
    this.outbox.materialise();
    // While the transport is busy ops gather here, and leave in fewer frames.
    while (this.outbox.length > 0 && stream.waitingFrames < framesAheadMax) {
      stream.send(frames.opsFrame(this.outbox.take(this.frameOpsMax, frameBytesMax)));
    }
    if (this.outbox.length > 0) return;
    for (const [retryAfterMs, leases] of this.#releases) stream.send(frames.releaseFrame(leases, retryAfterMs));
    this.#releases.clear();
  }
}

const framesAheadMax = 4;
