// The real server of a scenario: in this process, or a process of its own on a file, which can be killed and comes back
// on the same port. In front of it, when asked for, a proxy that cuts the connections at a named frame.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { SessionRequestSchema, WorkerFrameSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { createEngine, createServer } from "../../src/index.ts";
import { MessageProxy, type PassingMessage } from "../support/message-proxy.ts";
import { ServerProcess } from "../support/server-process.ts";
import { steadyAddress } from "../support/steady-address.ts";
import { holdsLike } from "./like.ts";
import type { Like, RealScenario } from "./scenario.ts";

export class RealServer {
  /** Where drivers connect. */
  address = "";
  /** Where the runner's own calls go, past the proxy. */
  url = "";
  #proxy: MessageProxy | undefined;
  readonly #scenario: RealScenario;
  readonly #folder = mkdtempSync(join(tmpdir(), "everstep-wire-"));
  #process: ServerProcess | undefined;
  #stop: () => Promise<void> = async () => {};

  private constructor(scenario: RealScenario) {
    this.#scenario = scenario;
  }

  static async start(scenario: RealScenario): Promise<RealServer> {
    const server = new RealServer(scenario);
    if (scenario.server === "process") await server.#startProcess(await steadyAddress());
    else await server.#embed();
    server.address = server.url;
    if (scenario.cutAfter !== undefined) {
      let cut = false;
      server.#proxy = await MessageProxy.start(server.url, {
        fateOf(message) {
          if (cut || !carries(message, scenario.cutAfter)) return "pass";
          cut = true;
          return "cut";
        },
      });
      server.address = server.#proxy.url;
    }
    return server;
  }

  async #embed(): Promise<void> {
    const { leaseTtlMs = 30_000, payloadMax } = this.#scenario;
    const engine = await createEngine({
      path: join(this.#folder, "everstep.db"),
      leaseTtlMs,
      ...(payloadMax === undefined ? {} : { payloadBytesMax: payloadMax }),
    });
    const server = createServer(engine, { port: 0 });
    const { port } = await server.listen();
    this.url = `http://127.0.0.1:${port}`;
    this.#stop = async () => {
      await server.close(0);
      await engine.stop();
    };
  }

  async #startProcess(listen: string): Promise<void> {
    const { leaseTtlMs = 30_000, payloadMax } = this.#scenario;
    const args = ["--lease-ttl", `${leaseTtlMs}ms`];
    if (payloadMax !== undefined) args.push("--payload-max", String(payloadMax));
    this.#process = await ServerProcess.start({ db: join(this.#folder, "everstep.db"), listen, args });
    this.url = this.#process.url;
  }

  signal(name: NodeJS.Signals): Promise<void> {
    if (this.#process === undefined) throw new Error('only a server of kind "process" gets signals');
    return this.#process.signal(name);
  }

  /** Starts the server again, on the same file and port. */
  async restart(): Promise<void> {
    await this.#startProcess(new URL(this.url).host);
  }

  async close(): Promise<void> {
    this.#proxy?.close();
    await this.#process?.signal("SIGKILL");
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Whether a worker's frame has something like this anywhere inside. */
function carries({ from, message }: PassingMessage, like: Like): boolean {
  if (from !== "client") return false;
  const { frame } = fromBinary(SessionRequestSchema, message);
  return frame !== undefined && holdsLike(toJson(WorkerFrameSchema, frame), like);
}
