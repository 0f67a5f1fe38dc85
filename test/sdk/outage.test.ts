import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "vitest";
import { callWithRetry } from "../../clients/typescript/src/calls.ts";
import { Client, type ClientOptions } from "../../clients/typescript/src/client.ts";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { steadyAddress } from "../support/steady-address.ts";
import { until } from "./cluster.ts";
import { turns, VirtualClock } from "./peer.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function clientWith(options: ClientOptions): Client {
  const client = new Client(options);
  closers.push(() => client.close());
  return client;
}

/** More pauses than another call would make before it gives up, when chance makes them as long as it may. */
const manyPauses = 16;

describe("a real server that is killed and comes back on its file", () => {
  test.each(["SIGKILL", "SIGTERM"] as const)("result and watch go on (%s)", async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), "everstep-outage-"));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const db = join(folder, "everstep.db");
    let server = await ServerProcess.start({ db, listen: await steadyAddress() });
    closers.push(() => server.signal("SIGKILL"));
    let pauses = 0;
    const random = (): number => {
      pauses += 1;
      return 0;
    };
    const client = clientWith({ address: server.url, random });
    const run = await client.start("nobody-works-on-it");
    const result = run.result().catch((error: unknown) => error);
    const seqs: number[] = [];
    const watched = (async () => {
      for await (const { seq } of run.watch()) seqs.push(Number(seq));
    })();
    await run.signal("s", 1);
    await until(() => seqs.length === 2);
    await server.signal(signal);
    pauses = 0;
    await until(() => pauses >= 2 * manyPauses);
    server = await ServerProcess.start({ db, listen: new URL(server.url).host });
    await run.signal("s", 2);
    await run.terminate();
    expect(await result).toMatchObject({ reason: "RUN_TERMINATED" });
    await watched;
    expect(seqs).toEqual([1, 2, 3, 4]);
  });
});

describe("a call, while the server cannot be reached", () => {
  /** Random draws make the pauses as long as they may be, or as short. */
  test.each([0, 1])("is tried again for ten seconds, however long its pauses are (%i)", async (drawn) => {
    const clock = new VirtualClock();
    const ports = { clock, random: () => drawn, closed: () => false };
    let backAtMs = 9_900;
    let calls = 0;
    const call = async () => {
      calls += 1;
      if (clock.nowMs() < backAtMs) throw new ConnectError("refused", Code.Unavailable);
      return "answer";
    };
    const outcome = () => callWithRetry(ports, call).catch((error: unknown) => error);
    const served = outcome();
    await turns();
    await clock.advance(12_100);
    expect(await served).toBe("answer");
    backAtMs = Number.POSITIVE_INFINITY;
    calls = 0;
    const refused = outcome();
    await turns();
    await clock.advance(9_900);
    const early = calls;
    await clock.advance(2_200);
    expect(await refused).toMatchObject({ reason: "UNAVAILABLE" });
    expect(calls).toBeGreaterThan(early);
    expect(clock.timers).toBe(0);
  });
});

describe("a server that cannot be reached", () => {
  function rig(waitRun: () => unknown) {
    const clock = new VirtualClock();
    let calls = 0;
    const transport = createRouterTransport(({ rpc }) => {
      rpc(RunService.method.waitRun, async () => {
        calls += 1;
        return (await waitRun()) as { run: { status: RunStatus } };
      });
    });
    return { clock, client: clientWith({ transport, clock, random: () => 1 }), calls: () => calls };
  }
  const failing = (code: Code) => () => {
    throw new ConnectError("the connection is gone", code);
  };

  test("a result is asked for again until its own time is over", async () => {
    const { client, clock, calls } = rig(failing(Code.Unavailable));
    const result = client.result("r", { timeoutMs: 600_000 }).catch((error: unknown) => error);
    await turns();
    await clock.advance(599_000);
    expect(calls()).toBeGreaterThan(500);
    expect(calls()).toBeLessThan(700);
    await clock.advance(1_000);
    expect(await result).toMatchObject({ reason: "RESULT_TIMEOUT" });
    expect(clock.timers).toBe(0);
  });

  test("a result is asked for again until its signal fires, which also ends a pause", async () => {
    const { client, clock } = rig(failing(Code.Unavailable));
    const abortion = new AbortController();
    const result = client.result("r", { signal: abortion.signal }).catch((error: unknown) => error);
    await turns();
    await clock.advance(100_000);
    abortion.abort("enough");
    expect(await result).toBe("enough");
    expect(clock.timers).toBe(0);
  });

  const unsaid = [Code.Unavailable, Code.Canceled, Code.Aborted, Code.Internal, Code.Unknown, Code.DeadlineExceeded];
  test.each([...unsaid, Code.InvalidArgument])("code %i without a reason of the server is an outage", async (code) => {
    let failures = 0;
    const { client, clock } = rig(() => {
      if (++failures <= manyPauses) failing(code)();
      return { run: { runId: "r", status: RunStatus.TERMINATED } };
    });
    const result = client.result("r").catch((error: unknown) => error);
    await turns();
    await clock.advance(60_000);
    expect(await result).toMatchObject({ reason: "RUN_TERMINATED" });
  });

  test.each([Code.NotFound, Code.PermissionDenied, Code.Unauthenticated])("code %i is thrown at once", async (code) => {
    const { client, calls } = rig(failing(code));
    await expect(client.result("r")).rejects.toBeInstanceOf(Error);
    expect(calls()).toBe(1);
  });

  test("a client that is closed ends its waits", async () => {
    const { client, clock } = rig(failing(Code.Unavailable));
    const result = client.result("r").catch((error: unknown) => error);
    await turns();
    await clock.advance(100_000);
    client.close();
    await clock.advance(2_100);
    expect(await result).toMatchObject({ reason: "UNAVAILABLE" });
    expect(clock.timers).toBe(0);
  });

  test("a connection that is dead and does not say so holds no result up", async () => {
    const silent = createRouterTransport(({ rpc }) => {
      rpc(RunService.method.waitRun, () => new Promise<never>(() => {}));
    });
    await expect(clientWith({ transport: silent }).result("r", { timeoutMs: 1 })).rejects.toMatchObject({
      reason: "RESULT_TIMEOUT",
    });
  });
});
