import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ExitError, exitCodes } from "./exit-codes.ts";
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
  const baseUrl = urlOf(address);
  return createClient(RunService, createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [authorize] }));
}

function urlOf(address: string): string {
  const text = address.includes("://") ? address : `http://${address}`;
  // Of "http:///" a URL would take the first part of the path for a host, and the key would go there.
  if (/^https?:\/\/[^/]/i.test(text) && URL.canParse(text)) return text;
  throw new ExitError(
    exitCodes.usage,
    `--address ${JSON.stringify(address)} is no server; write http://127.0.0.1:7420`,
  );
}
