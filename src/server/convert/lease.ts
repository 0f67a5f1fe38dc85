import type { LeaseHandle } from "../../engine/frames.ts";
import type { Lease } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import { checkInt, checkRunId, invalid, prefixed } from "../validate.ts";

// Lease ids are 16 random bytes on the wire and 32 hexadecimal digits inside.

export const leaseIdBytes = 16;

export function hexFrom(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

export function hexTo(hex: string): Uint8Array {
  return Buffer.from(hex, "hex");
}

export function leaseFrom(field: string, wire: Lease | undefined): LeaseHandle {
  if (wire === undefined) throw invalid(field, "is missing");
  try {
    return leaseOf(wire);
  } catch (error) {
    throw prefixed(error, `${field}.`);
  }
}

export function leaseOf(wire: Lease): LeaseHandle {
  return {
    runId: checkRunId(wire.runId),
    leaseId: leaseIdFrom(wire.leaseId),
    epoch: checkInt("epoch", wire.epoch, 1, Number.MAX_SAFE_INTEGER),
  };
}

function leaseIdFrom(bytes: Uint8Array): string {
  if (bytes.length !== leaseIdBytes) throw invalid("lease_id", `has ${bytes.length} bytes instead of ${leaseIdBytes}`);
  return hexFrom(bytes);
}

/** What can be made of a lease that may be wrong: enough to answer for it. */
export function leaseAsSent(wire: Lease | undefined): LeaseHandle {
  const bytes = wire?.leaseId.subarray(0, 64) ?? new Uint8Array();
  const epoch = Number(wire?.epoch ?? 0n);
  return { runId: wire?.runId ?? "", leaseId: hexFrom(bytes), epoch: Number.isSafeInteger(epoch) ? epoch : 0 };
}

export function leaseTo(lease: LeaseHandle): Lease {
  return {
    $typeName: "everstep.v1.Lease",
    runId: lease.runId,
    leaseId: hexTo(lease.leaseId),
    epoch: BigInt(lease.epoch),
  };
}
