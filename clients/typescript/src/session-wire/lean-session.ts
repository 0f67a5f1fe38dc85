// Session as it is on the wire, with the ops of a frame and their results as bytes: a message in a field and bytes in it
// are encoded alike, so the server sees no difference, but the library need not walk a tree of ten objects for each op.
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
import {
  type ServerFrame,
  type SessionRequest,
  type SessionResponse,
  type WorkerFrame,
  WorkerService,
} from "../../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { encodeOps } from "./op-writer.ts";
import { decodeResults } from "./result-reader.ts";

/** What the transport gets and gives: the fields that are left out of these types are as they always are. */
type LeanWorkerFrame = WorkerFrame & { readonly ops: readonly Uint8Array[] };
type LeanServerFrame = ServerFrame & { readonly opResults: readonly Uint8Array[] };

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
  if (service?.method.session === undefined) throw new Error("WorkerService has no Session");
  return service.method.session as DescMethodBiDiStreaming<DescMessage, DescMessage>;
}

/** WorkerService.Session; its messages are those of the two functions below. */
export const leanSession = leanMethod();

const noFrame = { case: undefined } as const;

export function leanRequest({ frame }: WorkerFrame): SessionRequest {
  const lean: LeanWorkerFrame =
    frame.case === "ops"
      ? { $typeName: "everstep.v1.WorkerFrame", frame: noFrame, ops: [encodeOps(frame.value.ops)] }
      : { $typeName: "everstep.v1.WorkerFrame", frame, ops: [] };
  return { $typeName: "everstep.v1.SessionRequest", frame: lean };
}

/** The frames of a response; more than one only if a server says two things at once. */
export function framesOf(response: SessionResponse): ServerFrame[] {
  const lean = response.frame as LeanServerFrame | undefined;
  if (lean === undefined) return [];
  const frames: ServerFrame[] = lean.opResults.map((encoded) => ({
    $typeName: "everstep.v1.ServerFrame",
    frame: { case: "opResults", value: decodeResults(encoded) },
  }));
  if (lean.frame.case !== undefined || frames.length === 0) frames.push(lean);
  return frames;
}
