// Grows an encoded message. A message inside another one is begun with room for a short length and ended with the real
// one, so that nothing has to be measured before it is written.

/** A text of this length is written unit by unit; the call into the runtime costs more than that only for shorter ones. */
const shortTextLength = 64;
const lengthBytesMax = 5;
/** A varint of a safe integer. */
const numberBytesMax = 8;

/** What it holds between two messages, more than usual frames need; what was larger is given up with its message. */
const keptBytes = 1_024 * 1_024;
const firstBytes = 64 * 1_024;

export class WireWriter {
  #bytes = Buffer.allocUnsafeSlow(firstBytes);
  #at = 0;

  /** Begins a message. What another one left that could not be ended is forgotten. */
  start(): void {
    this.#at = 0;
    if (this.#bytes.length > keptBytes) this.#bytes = Buffer.allocUnsafeSlow(firstBytes);
  }

  /** A copy of what has been written. */
  finish(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#at));
  }

  /** A number that is not negative, in a field that is left out for 0. */
  number(no: number, value: number): void {
    if (value === 0) return;
    this.#reserve(1 + numberBytesMax);
    this.#bytes[this.#at++] = no << 3;
    this.#at = this.#varint(value, this.#at);
  }

  text(no: number, text: string): void {
    const { length } = text;
    this.#reserve(1 + lengthBytesMax + 3 * length);
    this.#bytes[this.#at++] = (no << 3) | 2;
    if (length <= shortTextLength && this.#ascii(text)) return;
    this.#at = this.#varint(Buffer.byteLength(text), this.#at);
    this.#at += this.#bytes.write(text, this.#at);
  }

  bytes(no: number, value: Uint8Array): void {
    this.#reserve(1 + lengthBytesMax + value.length);
    this.#bytes[this.#at++] = (no << 3) | 2;
    this.#at = this.#varint(value.length, this.#at);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** A message in a field: give what this returns to `end` behind its last field. */
  begin(no: number): number {
    this.#reserve(2);
    this.#bytes[this.#at++] = (no << 3) | 2;
    return this.#at++;
  }

  end(lengthAt: number): void {
    const from = lengthAt + 1;
    const length = this.#at - from;
    if (length < 0x80) {
      this.#bytes[lengthAt] = length;
      return;
    }
    this.#reserve(lengthBytesMax);
    let lengthBytes = 1;
    for (let left = length; left >= 0x80; left >>>= 7) lengthBytes += 1;
    this.#bytes.copyWithin(lengthAt + lengthBytes, from, this.#at);
    this.#varint(length, lengthAt);
    this.#at += lengthBytes - 1;
  }

  /** False, and nothing written, when there is anything but ASCII in it. */
  #ascii(text: string): boolean {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) return false;
      bytes[at++] = unit;
    }
    bytes[this.#at] = text.length;
    this.#at = at;
    return true;
  }

  #varint(value: number, from: number): number {
    let at = from;
    let left = value;
    for (; left >= 0x80; left = Math.floor(left / 128)) this.#bytes[at++] = (left % 128) | 0x80;
    this.#bytes[at++] = left;
    return at;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * needed);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
