import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import grpc from "@grpc/grpc-js";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";

// Three clients that know nothing of each other, seen alike, so that one list of cases runs over all of them.

/** A client of the whole API over one connection. */
export interface Peer {
  readonly runs: Client<typeof RunService>;
  readonly leases: Client<typeof LeaseService>;
  readonly workers: Client<typeof WorkerService>;
  close(): void;
}

export interface PeerKind {
  readonly name: string;
  /** Streams in both directions need HTTP/2. */
  readonly bidi: boolean;
  open(url: string): Peer;
}

export const peerKinds: readonly PeerKind[] = [
  { name: "Connect over HTTP/1.1", bidi: false, open: openConnect },
  { name: "gRPC over h2c", bidi: true, open: openConnectGrpc },
  { name: "@grpc/grpc-js", bidi: true, open: openGrpcJs },
];

function openConnect(url: string): Peer {
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
  return {
    runs: createClient(RunService, transport),
    leases: createClient(LeaseService, transport),
    workers: createClient(WorkerService, transport),
    close() {},
  };
}

function openConnectGrpc(url: string): Peer {
  const transport = createGrpcTransport({ baseUrl: url });
  return {
    runs: createClient(RunService, transport),
    leases: createClient(LeaseService, transport),
    workers: createClient(WorkerService, transport),
    close() {},
  };
}

/** The generated messages over a gRPC stack that shares no code with the server's. */
function openGrpcJs(url: string): Peer {
  const address = new URL(url).host;
  const clients: grpc.Client[] = [];
  function open<S extends DescService>(service: S): Client<S> {
    const Constructor = grpc.makeGenericClientConstructor(definitionOf(service), service.typeName);
    const client = new Constructor(address, grpc.credentials.createInsecure());
    clients.push(client);
    const methods = service.methods.map((method) => [method.localName, callOf(client, method)]);
    return Object.fromEntries(methods) as Client<S>;
  }
  return {
    runs: open(RunService),
    leases: open(LeaseService),
    workers: open(WorkerService),
    close() {
      for (const client of clients) client.close();
    },
  };
}

function definitionOf(service: DescService): grpc.ServiceDefinition {
  const codecOf = (desc: DescMessage) => ({
    serialize: (message: object) => Buffer.from(toBinary(desc, create(desc, message as MessageInitShape<DescMessage>))),
    deserialize: (bytes: Buffer) => fromBinary(desc, bytes),
  });
  return Object.fromEntries(
    service.methods.map((method) => {
      const input = codecOf(method.input);
      const output = codecOf(method.output);
      const definition: grpc.MethodDefinition<object, object> = {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        requestSerialize: input.serialize,
        requestDeserialize: input.deserialize,
        responseSerialize: output.serialize,
        responseDeserialize: output.deserialize,
      };
      return [method.name, definition];
    }),
  );
}

type Callback = (error: grpc.ServiceError | null, value?: object) => void;
interface Options {
  readonly signal?: AbortSignal;
}

/** A method with the shape that a Connect client has. */
function callOf(client: grpc.Client, method: DescMethod): unknown {
  const stub = client as unknown as Record<string, (...args: unknown[]) => unknown>;
  const start = (...args: unknown[]) => (stub[method.name] as (...args: unknown[]) => unknown).call(client, ...args);
  switch (method.methodKind) {
    case "unary":
      return (request: object) =>
        new Promise((resolve, reject) => {
          const callback: Callback = (error, value) => (error === null ? resolve(value) : reject(error));
          start(request, callback);
        });
    case "server_streaming":
      return (request: object, options?: Options) => abortable(start(request) as Readable, options);
    case "bidi_streaming":
      return (requests: AsyncIterable<object>, options?: Options) => {
        const call = start() as grpc.ClientDuplexStream<object, object>;
        void writeAll(call, requests);
        return abortable(call, options);
      };
    default:
      throw new Error(`${method.name} is of a kind that the API does not have`);
  }
}

type Readable = grpc.ClientReadableStream<object>;

function abortable(call: Readable, options?: Options): AsyncIterable<object> {
  options?.signal?.addEventListener("abort", () => call.cancel(), { once: true });
  return call;
}

async function writeAll(call: grpc.ClientDuplexStream<object, object>, requests: AsyncIterable<object>): Promise<void> {
  for await (const request of requests) call.write(request);
  call.end();
}
