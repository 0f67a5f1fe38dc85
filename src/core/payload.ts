/** An opaque user value, kept as it arrived: a string is JSON text, bytes are bytes. Never re-encoded. */
export interface Payload {
  readonly data: string | Uint8Array;
  /** A label for the reader, for example "json/zstd"; empty means plain. */
  readonly encoding: string;
}

/** Size in bytes that counts against the limits. UTF-8 length is bounded by 3 bytes for each UTF-16 unit; ASCII is exact. */
export function payloadBytes(payload: Payload | undefined): number {
  if (payload === undefined) return 0;
  return (typeof payload.data === "string" ? utf8Length(payload.data) : payload.data.length) + payload.encoding.length;
}

/** Bytes that a string takes in UTF-8, without making them. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00) {
      bytes += 2;
      i++;
    } else bytes += 2;
  }
  return bytes;
}

export function samePayload(a: Payload | undefined, b: Payload | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.encoding !== b.encoding) return false;
  if (typeof a.data === "string" || typeof b.data === "string") return a.data === b.data;
  if (a.data.length !== b.data.length) return false;
  for (let i = 0; i < a.data.length; i++) if (a.data[i] !== b.data[i]) return false;
  return true;
}
