import {
  clearField,
  clone,
  createFileRegistry,
  type DescMessage,
  type DescMethodBiDiStreaming,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { OpResult, ServerFrame } from "../../engine/frames.ts";
import {
  type ServerFrame as WireFrame,
  type SessionResponse,
  type WorkerFrame,
  WorkerService,
} from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { sessionResponses } from "../convert/server-frame.ts";
import { encodeResults } from "./result-writer.ts";

// Session as it is on the wire, with the ops of a frame and their results left as bytes. A message in a field and bytes
// in it are encoded alike, and a field that comes twice means the same as both end to end, so nothing changes for the
// worker; but the library need not make ten objects of an op of which the engine takes three. Only for protobuf: in JSON
// a message and bytes differ.

export interface LeanWorkerFrame extends Pick<WorkerFrame, "frame"> {
  /** Encoded Ops messages. */
  readonly ops: readonly Uint8Array[];
}

export interface LeanSessionRequest {
  readonly frame?: LeanWorkerFrame;
}

type LeanServerFrame = WireFrame & { readonly opResults: readonly Uint8Array[] };

/** WorkerFrame.ops and ServerFrame.op_results: each item is an encoded Ops or OpResults. */
const leanFields: Readonly<Record<string, string>> = { WorkerFrame: "ops", ServerFrame: "op_results" };

function leanMethod(): DescMethodBiDiStreaming<DescMessage, DescMessage> {
  const { file } = WorkerService;
  const lean = clone(FileDescriptorProtoSchema, file.proto);
  for (const [message, name] of Object.entries(leanFields)) {
    const fields = lean.messageType.find((type) => type.name === message)?.field ?? [];
    const field = fields.find((one) => one.name === name);
    if (field === undefined) throw new Error(`there is no ${message}.${name}`);
    field.type = FieldDescriptorProto_Type.BYTES;
    field.label = FieldDescriptorProto_Label.REPEATED;
    field.typeName = "";
    clearField(field, FieldDescriptorProtoSchema.field.oneofIndex);
  }
  const known = new Map(file.dependencies.map((dependency) => [dependency.proto.name, dependency]));
  const service = createFileRegistry(lean, (name) => known.get(name)).getService(WorkerService.typeName);
  const method = service?.method.session;
  if (method === undefined) throw new Error("WorkerService has no Session");
  return method as DescMethodBiDiStreaming<DescMessage, DescMessage>;
}

/** WorkerService.Session; its messages are LeanSessionRequest and what `leanResponses` makes. */
export const leanSession = leanMethod();

/** As sessionResponses, with results as bytes: neighbours travel in one frame. */
export function leanResponses(frames: readonly ServerFrame[]): SessionResponse[] {
  const responses: SessionResponse[] = [];
  for (let from = 0, to = 0; from < frames.length; from = to) {
    const ofResults = frames[from]?.kind === "opResult";
    while (to < frames.length && (frames[to]?.kind === "opResult") === ofResults) to += 1;
    const run = frames.slice(from, to);
    if (ofResults) responses.push(responseOf(noFrame, [encodeResults(run.map(resultOf))]));
    else for (const { frame } of sessionResponses(run)) responses.push(responseOf(frame ?? noFrame, none));
  }
  return responses;
}

const noFrame: Pick<WireFrame, "frame"> = { frame: { case: undefined } };
const none: readonly Uint8Array[] = [];

function responseOf({ frame }: Pick<WireFrame, "frame">, opResults: readonly Uint8Array[]): SessionResponse {
  const lean: LeanServerFrame = { $typeName: "everstep.v1.ServerFrame", frame, opResults };
  return { $typeName: "everstep.v1.SessionResponse", frame: lean };
}

function resultOf(frame: ServerFrame): OpResult {
  return (frame as Extract<ServerFrame, { kind: "opResult" }>).result;
}
