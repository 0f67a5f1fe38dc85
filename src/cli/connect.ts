import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

export interface ServerOptions {
  readonly address: string;
  readonly apiKey?: string;
}

/** The client that every command uses: the public API and nothing else. */
export function connect({ address, apiKey }: ServerOptions): Client<typeof RunService> {
  const authorize: Interceptor = (next) => (request) => {
    if (apiKey !== undefined && apiKey !== "") request.header.set("authorization", `Bearer ${apiKey}`);
    return next(request);
  };
  const baseUrl = address.includes("://") ? address : `http://${address}`;
  return createClient(RunService, createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [authorize] }));
}
