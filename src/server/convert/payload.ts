import { EngineError, refuse } from "../../core/errors.ts";
import { type Payload, utf8Length } from "../../core/payload.ts";
import { encodingBytesMax } from "../../limits.ts";
import type { Payload as WirePayload } from "../../../gen/ts/everstep/v1/payload_pb.ts";
import { checkText, invalid } from "../validate.ts";

/** A payload from the wire, checked. `field` is its name in the request; undefined is "no value". */
export function payloadFrom(field: string, wire: WirePayload | undefined, bytesMax: number): Payload | undefined {
  if (wire === undefined || wire.data.case === undefined) return undefined;
  const { encoding, data } = wire;
  if (encoding !== "") checkText(`${field}.encoding`, encoding, 0, encodingBytesMax);
  if (data.case === "json") {
    const text = data.value;
    // Most payloads are so small that their bytes need no counting.
    if (text.length * 3 > bytesMax) checkSize(field, utf8Length(text), bytesMax);
    checkJson(field, text);
    return { data: text, encoding };
  }
  checkSize(field, data.value.length, bytesMax);
  // A copy of its own: a view would keep the whole frame in memory, and would be sent to the writer's thread with it.
  return { data: new Uint8Array(data.value), encoding };
}

function checkSize(field: string, bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  throw new EngineError(
    refuse("PAYLOAD_TOO_LARGE", `${field} has ${bytes} bytes, the limit is ${bytesMax}`, { field }),
  );
}

function checkJson(field: string, text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const detail = text === "" ? "it is empty" : (error as Error).message.slice(0, 120);
    throw invalid(`${field}.json`, `is not a JSON text: ${detail}`);
  }
}

export function payloadTo(payload: Payload | undefined): WirePayload | undefined {
  if (payload === undefined) return undefined;
  const { data, encoding } = payload;
  return {
    $typeName: "everstep.v1.Payload",
    data: typeof data === "string" ? { case: "json", value: data } : { case: "bytes", value: data },
    encoding,
  };
}
