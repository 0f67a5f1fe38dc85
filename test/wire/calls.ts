// The runner's own calls of a real server, as JSON in and out, past the SDK under test.
import { fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { EventSchema } from "../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { enumName } from "../../clients/typescript/src/enum-name.ts";
import { waitMsMax } from "./limits.ts";
import { isLike } from "./like.ts";
import type { Like } from "./scenario.ts";

export class Calls {
  readonly #connection: Http2SessionManager;
  readonly #transport: Transport;

  constructor(url: string) {
    this.#connection = new Http2SessionManager(url);
    this.#transport = createConnectTransport({ baseUrl: url, httpVersion: "2", sessionManager: this.#connection });
  }

  /** The answer of a call of RunService or LeaseService as JSON, or the reason of the refusal. */
  async call(name: string, request: object): Promise<{ value?: unknown; reason?: string }> {
    const method = [...RunService.methods, ...LeaseService.methods].find((one) => one.localName === name);
    if (method === undefined) throw new Error(`no service has ${name}`);
    const input = fromJson(method.input, request as JsonObject);
    try {
      const { message } = await this.#transport.unary(method as never, undefined, waitMsMax, undefined, input as never);
      return { value: toJson(method.output, message as never, { alwaysEmitImplicit: true }) };
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      const [info] = error.findDetails(ErrorInfoSchema);
      return { reason: info?.reason ?? error.message };
    }
  }

  /** Waits until the history of a run holds an event like this; with `times`, exactly so many. */
  async event(runId: string, like: Like, times?: number): Promise<void> {
    const wanted = times ?? 1;
    const signal = AbortSignal.timeout(waitMsMax);
    let found = 0;
    try {
      for await (const { events } of createClient(RunService, this.#transport).watchRun({ runId }, { signal })) {
        for (const event of events) if (isLike(toJson(EventSchema, event), like)) found += 1;
        if (found >= wanted) break;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    if (times !== undefined) found = (await this.history(runId)).filter((event) => isLike(event, like)).length;
    if (times === undefined ? found === 0 : found !== times) {
      throw new Error(`run ${runId} has ${found} events like ${JSON.stringify(like)}, not ${wanted}`);
    }
  }

  /** The history so far. */
  async history(runId: string): Promise<unknown[]> {
    const client = createClient(RunService, this.#transport);
    const all: unknown[] = [];
    let pageToken = "";
    do {
      const page = await client.getRunHistory({ runId, pageToken });
      all.push(...page.events.map((event) => toJson(EventSchema, event)));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return all;
  }

  /** Waits until a run has this status: looks again after each of its events. */
  async status(runId: string, status: string): Promise<void> {
    const signal = AbortSignal.timeout(waitMsMax);
    const client = createClient(RunService, this.#transport);
    let last = "";
    const reached = async (): Promise<boolean> => {
      const { run } = await client.getRun({ runId });
      last = enumName(RunStatus, run?.status ?? 0);
      return last === status;
    };
    try {
      if (await reached()) return;
      for await (const _ of client.watchRun({ runId }, { signal })) if (await reached()) return;
      if (await reached()) return;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    throw new Error(`run ${runId} is ${last} and not ${status}`);
  }

  close(): void {
    this.#connection.abort();
  }
}
