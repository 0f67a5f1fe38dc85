const nothing = new Uint8Array(0);

/**
 * Bytes that came in pieces and wait for the rest of their message, in one buffer that doubles. A sender may put each
 * byte into a frame of its own: kept as they came, 8 MiB of such pieces took 970 MB.
 */
export class Gathered {
  #buffer: Uint8Array = nothing;
  #length = 0;

  get length(): number {
    return this.#length;
  }
  /** All of them, to be read before the next call. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }
  /** A copy is kept: the piece may be a small part of what was read from the socket. */
  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
  }
  /** The first ones are done with. */
  drop(count: number): void {
    const rest = this.#buffer.slice(count, this.#length);
    this.#buffer = rest;
    this.#length = rest.length;
  }
}
