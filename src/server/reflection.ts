import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { ServerReflection as ReflectionV1 } from "../../gen/ts/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../gen/ts/grpc/reflection/v1alpha/reflection_pb.ts";
import { callSignal, revokedError } from "./call.ts";

// grpc.reflection over the generated descriptors, so that `buf curl` and grpcurl need no schema. The two versions
// differ in their package name only.

/** What both versions ask. */
interface Request {
  readonly host: string;
  readonly messageRequest:
    | { readonly case: "fileByFilename" | "fileContainingSymbol" | "listServices"; readonly value: string }
    | { readonly case: "allExtensionNumbersOfType"; readonly value: string }
    | { readonly case: "fileContainingExtension"; readonly value: unknown }
    | { readonly case: undefined; readonly value?: undefined };
}

type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

export type Answerer = (request: Request["messageRequest"]) => Answer;

/** Answers questions about these files and everything that they import. */
export function createAnswerer(files: readonly DescFile[]): Answerer {
  const byName = new Map<string, DescFile>();
  for (const file of files) collect(file, byName);
  const bySymbol = new Map<string, DescFile>();
  for (const file of byName.values()) for (const symbol of symbolsOf(file)) bySymbol.set(symbol, file);
  const services = files
    .flatMap((file) => file.services.map(({ typeName }) => ({ name: typeName })))
    .sort(byServiceName);

  /** The file first, and behind it all that it imports, in an order to load them in: clients need not ask again. */
  function withImports(file: DescFile | undefined, asked: string): Answer {
    if (file === undefined) return notFound(`${asked.slice(0, 200)} is not known here`);
    const imports = [...collect(file, new Map()).values()].filter((one) => one !== file);
    const fileDescriptorProto = [file, ...imports].map((one) => toBinary(FileDescriptorProtoSchema, one.proto));
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }

  return (request) => {
    switch (request.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: services } };
      case "fileByFilename":
        return withImports(byName.get(request.value), request.value);
      case "fileContainingSymbol":
        return withImports(bySymbol.get(request.value), request.value);
      case "allExtensionNumbersOfType":
      case "fileContainingExtension":
        return notFound("no file of this server has extensions");
      default:
        return error(Code.Unimplemented, "this question is unknown here");
    }
  };
}

function byServiceName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Adds the file behind everything that it imports. */
function collect(file: DescFile, into: Map<string, DescFile>): Map<string, DescFile> {
  if (into.has(file.proto.name)) return into;
  for (const dependency of file.dependencies) collect(dependency, into);
  return into.set(file.proto.name, file);
}

function symbolsOf(file: DescFile): string[] {
  const symbols: string[] = [];
  const messages = [...file.messages];
  for (let message = messages.pop(); message !== undefined; message = messages.pop()) {
    const { typeName } = message;
    symbols.push(typeName, ...message.members.map((member) => `${typeName}.${member.name}`));
    for (const nested of message.nestedEnums) symbols.push(nested.typeName);
    messages.push(...message.nestedMessages);
  }
  for (const { typeName, values } of file.enums) symbols.push(typeName, ...values.map((value) => value.name));
  for (const service of file.services) {
    symbols.push(service.typeName, ...service.methods.map((method) => `${service.typeName}.${method.name}`));
  }
  return symbols;
}

function notFound(message: string): Answer {
  return error(Code.NotFound, message);
}

function error(errorCode: number, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

async function* answerAll<R extends Request>(answer: Answerer, requests: AsyncIterable<R>, context: HandlerContext) {
  const signal = callSignal(context);
  for await (const request of requests) {
    const revoked = revokedError(context);
    if (revoked !== undefined) throw revoked;
    if (signal.aborted) return;
    yield { validHost: request.host, originalRequest: request, messageResponse: answer(request.messageRequest) };
  }
}

/** Adds both versions to the router. `files` are those of the services that the router serves. */
export function routeReflection(router: ConnectRouter, files: readonly DescFile[]): void {
  const answer = createAnswerer([...files, ReflectionV1.file, ReflectionV1Alpha.file]);
  router.service(ReflectionV1, {
    serverReflectionInfo: (requests, context) => answerAll(answer, requests, context),
  });
  router.service(ReflectionV1Alpha, {
    serverReflectionInfo: (requests, context) => answerAll(answer, requests, context),
  });
}
