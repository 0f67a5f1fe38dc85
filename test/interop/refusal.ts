import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import grpc from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";

/** What a caller can read of an error, whichever client it got it from. */
export interface Refused {
  /** Name of the canonical code, for example "NotFound". */
  readonly code: string;
  readonly message: string;
  /** The ErrorInfo of the error; empty when there is none. */
  readonly reason: string;
  readonly domain: string;
  /** The field of its BadRequest; empty when there is none. */
  readonly field: string;
}

/** The refusal of a call that must not succeed. */
export async function refusalOf(call: Promise<unknown>): Promise<Refused> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (thrown) {
    return readError(thrown);
  }
  throw new Error(`it was not refused, it answered ${Object.prototype.toString.call(answer)}`);
}

function readError(thrown: unknown): Refused {
  if (thrown instanceof ConnectError) {
    return {
      code: Code[thrown.code] as string,
      message: thrown.rawMessage,
      ...infoOf(thrown.findDetails(ErrorInfoSchema)[0]),
      ...fieldOf(thrown.findDetails(BadRequestSchema)[0]),
    };
  }
  if (!isServiceError(thrown)) throw thrown;
  const [encoded] = thrown.metadata.get("grpc-status-details-bin");
  const details = encoded instanceof Buffer ? fromBinary(StatusSchema, encoded).details : [];
  const info = details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find((found) => found !== undefined);
  const bad = details.map((detail) => anyUnpack(detail, BadRequestSchema)).find((found) => found !== undefined);
  // The numbers of the codes are the same in both worlds.
  return { code: Code[thrown.code] as string, message: thrown.details, ...infoOf(info), ...fieldOf(bad) };
}

function infoOf(info: { reason: string; domain: string } | undefined): Pick<Refused, "reason" | "domain"> {
  return { reason: info?.reason ?? "", domain: info?.domain ?? "" };
}

function fieldOf(bad: { fieldViolations: { field: string }[] } | undefined): Pick<Refused, "field"> {
  return { field: bad?.fieldViolations[0]?.field ?? "" };
}

function isServiceError(thrown: unknown): thrown is grpc.ServiceError {
  return thrown instanceof Error && "metadata" in thrown && thrown.metadata instanceof grpc.Metadata;
}
