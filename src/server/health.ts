import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { Engine } from "../engine/api.ts";
import {
  type Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { callSignal, revokedError } from "./call.ts";

/** Between two looks of a Watch: a load balancer needs no finer answer. */
const watchIntervalMs = 500;

/** Why the server takes no work at the moment; undefined when it does. */
export function notReadyReason(engine: Engine): string | undefined {
  const { writer, draining } = engine.status();
  if (writer === "stopped") return "the store has failed; nothing is acknowledged any more";
  if (draining) return "the server is shutting down";
  if (writer === "full") return "the disk is full; reads go on, writing resumes when there is room";
  return undefined;
}

/** grpc.health.v1 for the server as a whole ("") and for each of its services, which live and die together. */
export function createHealthService(engine: Engine, services: readonly string[]): ServiceImpl<typeof Health> {
  const known = new Set(["", ...services]);
  const statusNow = () => (notReadyReason(engine) === undefined ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  const answer = (status: ServingStatus): HealthCheckResponse => ({
    $typeName: "grpc.health.v1.HealthCheckResponse",
    status,
  });

  async function* watch(service: string, context: HandlerContext) {
    const signal = callSignal(context);
    let told: ServingStatus | undefined;
    while (!signal.aborted) {
      const status = known.has(service) ? statusNow() : ServingStatus.SERVICE_UNKNOWN;
      if (status !== told) yield answer((told = status));
      await sleep(watchIntervalMs, undefined, { signal, ref: false }).catch(() => {});
    }
    const revoked = revokedError(context);
    if (revoked !== undefined) throw revoked;
  }

  return {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`there is no service ${service.slice(0, 200)}`, Code.NotFound);
      return answer(statusNow());
    },
    watch: ({ service }, context) => watch(service, context),
    list() {
      return { statuses: Object.fromEntries([...known].map((service) => [service, answer(statusNow())])) };
    },
  };
}
