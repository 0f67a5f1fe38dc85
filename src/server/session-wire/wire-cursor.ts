// A place in an encoded message. Only what a quick reader needs: numbers that are not negative, lengths, and texts in
// ASCII. Whatever is something else makes it fail, without an error; what is read behind that says nothing.

/** Longer texts are left to the library, which reads them natively. */
const textBytesMax = 4_096;

export const lastControl = 0x1f;
const firstAbove = 0x7f;

/** Tags of fields whose number is below 16, which take one byte. */
export const varintField = (no: number): number => no << 3;
export const lengthField = (no: number): number => (no << 3) | 2;

export class WireCursor {
  bytes: Buffer = noBytes;
  at = 0;
  /** Something was not what a quick reader knows. Its owner takes it back. */
  failed = false;

  open(encoded: Uint8Array): void {
    this.bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    this.at = 0;
    this.failed = false;
  }

  close(): void {
    this.bytes = noBytes;
  }

  /** Fails for one that is negative, above `max` or cut off. */
  readNumber(max: number): number {
    const { bytes } = this;
    let value = 0;
    for (let shift = 1, i = 0; i < 8; i++, shift *= 128) {
      const byte = bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * shift;
      if (byte >= 0x80) continue;
      if (value <= max) return value;
      break;
    }
    this.failed = true;
    return 0;
  }

  /** Behind a length: where what it counts ends. Fails, with -1, when that is beyond `end`. */
  readEnd(end: number): number {
    const length = this.readNumber(end);
    if (!this.failed && this.at + length <= end) return this.at + length;
    this.failed = true;
    return -1;
  }

  /** The text up to `end`; undefined when it is long, or holds anything but ASCII without the characters up to `low`. */
  readText(end: number, low: number): string | undefined {
    const { bytes, at } = this;
    if (end - at > textBytesMax) return undefined;
    for (let i = at; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte <= low || byte >= firstAbove) return undefined;
    }
    this.at = end;
    return bytes.toString("latin1", at, end);
  }
}

const noBytes = Buffer.alloc(0);
