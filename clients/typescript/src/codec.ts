import type { Payload } from "../../../gen/ts/everstep/v1/payload_pb.ts";
import { PayloadCodecError, PayloadTooLargeError } from "./errors.ts";

/** A user value as it travels and is stored: JSON text or bytes, and a label that says how to read it. */
export interface EncodedPayload {
  readonly json?: string;
  readonly bytes?: Uint8Array;
  /** For example "json/zstd"; empty or absent means plain. */
  readonly encoding?: string;
}

/**
 * Turns values into payloads and back: the place for encryption, compression or another format.
 * `undefined` is "no value" and never reaches a codec.
 */
export interface PayloadCodec {
  encode(value: unknown): EncodedPayload;
  decode(payload: EncodedPayload): unknown;
}

/** JSON for everything but Uint8Array, which travels as bytes. */
export const jsonCodec: PayloadCodec = {
  encode(value) {
    if (value instanceof Uint8Array) return { bytes: value };
    const json = JSON.stringify(value);
    return json === undefined ? {} : { json };
  },
  decode(payload) {
    if (payload.encoding)
      throw new Error(`payload is encoded as ${JSON.stringify(payload.encoding)}; configure a codec that reads it`);
    return payload.json !== undefined ? JSON.parse(payload.json) : payload.bytes;
  },
};

export function encodePayload(codec: PayloadCodec, value: unknown): Payload | undefined {
  if (value === undefined) return undefined;
  let encoded: EncodedPayload;
  try {
    encoded = codec.encode(value);
  } catch (error) {
    throw new PayloadCodecError("the value cannot be encoded", { cause: error });
  }
  const { json, bytes, encoding = "" } = checkEncoded(encoded);
  if (json !== undefined) return { $typeName: "everstep.v1.Payload", data: { case: "json", value: json }, encoding };
  if (bytes !== undefined) return { $typeName: "everstep.v1.Payload", data: { case: "bytes", value: bytes }, encoding };
  return undefined;
}

/** A codec may be written in JavaScript, or be asynchronous by mistake: what it gives could not be sent, or would be lost. */
function checkEncoded(encoded: EncodedPayload): EncodedPayload {
  const { json, bytes, encoding, then } = encoded as EncodedPayload & { readonly then?: unknown };
  const isRight =
    then === undefined &&
    (json === undefined || typeof json === "string") &&
    (bytes === undefined || bytes instanceof Uint8Array) &&
    (encoding === undefined || typeof encoding === "string");
  if (isRight) return encoded;
  throw new PayloadCodecError("a codec's encode returns { json: string } or { bytes: Uint8Array }, at once");
}

export function decodePayload(codec: PayloadCodec, payload: Payload | undefined): unknown {
  if (payload === undefined || payload.data.case === undefined) return undefined;
  const encoding = payload.encoding === "" ? {} : { encoding: payload.encoding };
  try {
    return codec.decode(
      payload.data.case === "json"
        ? { json: payload.data.value, ...encoding }
        : { bytes: payload.data.value, ...encoding },
    );
  } catch (error) {
    throw new PayloadCodecError("the payload cannot be decoded", { cause: error });
  }
}

/** Size as the limits count it: bytes of the value. */
export function payloadBytes(payload: Payload | undefined): number {
  if (payload === undefined) return 0;
  if (payload.data.case === "bytes") return payload.data.value.length;
  return payload.data.case === "json" ? Buffer.byteLength(payload.data.value) : 0;
}

/** Encodes and checks the size; `what` names the value in the error. Returns the payload and its bytes. */
export function encodeWithin(
  codec: PayloadCodec,
  value: unknown,
  what: () => string,
  bytesMax: number,
): { payload: Payload | undefined; bytes: number } {
  const payload = encodePayload(codec, value);
  const bytes = payloadBytes(payload);
  if (bytes > bytesMax) throw new PayloadTooLargeError(`${what()} has ${bytes} bytes, the limit is ${bytesMax}`);
  return { payload, bytes };
}
