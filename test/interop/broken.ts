import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ChangeSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { type Payload, PayloadSchema } from "../../gen/ts/everstep/v1/payload_pb.ts";
import { WatchRunRequestSchema } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { SessionRequestSchema, WorkerFrameSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";

// Messages that no SDK would make: what is not in the schema rides along as unknown fields, which are written as they are.

/** A field that no version of the schema has. */
const unknownField = { no: 999, wireType: WireType.LengthDelimited, data: new BinaryWriter().string("?").finish() };

/** Names a run with bytes that are no UTF-8. */
export function watchWithBadUtf8(): MessageInitShape<typeof WatchRunRequestSchema> {
  const request = create(WatchRunRequestSchema);
  const data = new BinaryWriter().bytes(Uint8Array.of(0xff)).finish();
  request.$unknown = [{ no: WatchRunRequestSchema.field.runId.number, wireType: WireType.LengthDelimited, data }];
  return request;
}

/** The json text "\xff", in quotes, as bytes that are no UTF-8. */
export function payloadWithBadUtf8(): Payload {
  const payload = create(PayloadSchema);
  const data = new BinaryWriter().bytes(Uint8Array.of(0x22, 0xff, 0x22)).finish();
  payload.$unknown = [{ no: PayloadSchema.field.json.number, wireType: WireType.LengthDelimited, data }];
  return payload;
}

/** A frame of a kind that a later version may have. */
export function requestWithUnknownFrame() {
  const frame = create(WorkerFrameSchema);
  frame.$unknown = [unknownField];
  return create(SessionRequestSchema, { frame });
}

/** A change of a kind that a later version may have. */
export function unknownChange(): MessageInitShape<typeof ChangeSchema> {
  const change = create(ChangeSchema);
  change.$unknown = [unknownField];
  return change;
}
