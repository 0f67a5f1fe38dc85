import type { Hello } from "../../engine/frames.ts";
import { capacityDefault, capacityMax, nameBytesMax, sessionQueuesMax, sessionWorkflowsMax } from "../../limits.ts";
import type { Hello as WireHello } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import {
  checkCount,
  checkInt,
  checkName,
  checkNamespace,
  checkOptionalName,
  checkPlain,
  checkSeq,
  checkText,
  each,
  invalid,
  nameOrDefault,
} from "../validate.ts";
import { hexFrom, leaseFrom } from "./lease.ts";

export function helloFrom(wire: WireHello): Hello {
  checkCount("workflows", wire.workflows.length, 1, sessionWorkflowsMax);
  checkCount("held", wire.held.length, 0, capacityMax);
  const workflows = wire.workflows.map((name, index) => checkName(`workflows[${index}]`, name));
  return {
    protocolVersion: wire.protocolVersion,
    instanceId: checkPlain("worker_instance_id", checkText("worker_instance_id", wire.workerInstanceId, 8, 128)),
    identity: checkOptionalName("identity", wire.identity),
    sdk: checkOptionalName("sdk", wire.sdk),
    buildId: checkOptionalName("build_id", wire.buildId),
    namespace: checkNamespace(wire.namespace),
    queues: queuesFrom(wire.queues),
    workflows: [...new Set(workflows)],
    capacity: checkCapacity(wire.capacity ?? capacityDefault),
    resume: resumeFrom(wire.resume),
    held: each("held", wire.held, (held) => ({
      lease: leaseFrom("lease", held.lease),
      noticesSeen: checkSeq("notices_seen", held.noticesSeen),
      lastRefusedOpId: checkSeq("last_refused_op_id", held.lastRefusedOpId),
    })),
  };
}

/** Queues to serve, each once; none means the default one. */
export function queuesFrom(wire: readonly string[]): string[] {
  if (wire.length === 0) return ["default"];
  checkCount("queues", wire.length, 1, sessionQueuesMax);
  return [...new Set(wire.map((name, index) => nameOrDefault(`queues[${index}]`, name)))];
}

export function checkCapacity(capacity: number): number {
  return checkInt("capacity", capacity, 0, capacityMax);
}

function resumeFrom(wire: WireHello["resume"]): Hello["resume"] {
  if (wire === undefined) return undefined;
  const { sessionId, resumeToken } = wire;
  if (resumeToken.length > 64) throw invalid("resume.resume_token", `has ${resumeToken.length} bytes, the limit is 64`);
  return { sessionId: checkText("resume.session_id", sessionId, 0, nameBytesMax), resumeToken: hexFrom(resumeToken) };
}
