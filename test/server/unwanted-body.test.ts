import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";

// A call is refused before its body was read. Its caller may still be writing, and has to learn of the answer all the
// same: closing the connection on unread bytes would tell it of a broken pipe instead.

let server: ServerProcess;
beforeAll(async () => {
  server = await ServerProcess.start({ db: ":memory:", args: ["--api-key", "secret-key"] });
});
afterAll(() => server?.signal("SIGTERM"));

const path = "/everstep.v1.RunService/ListRuns";
const head = (bytes: number) =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`;

async function open(): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.setEncoding("utf8");
  await once(socket, "connect");
  return socket;
}
async function answer(socket: Socket): Promise<string> {
  let text = "";
  while (!text.includes('"code":"unauthenticated"')) text += (await once(socket, "data"))[0];
  return text;
}

test("the connection is there for the rest of the body and for the next call", async () => {
  const socket = await open();
  for (let call = 0; call < 2; call++) {
    socket.write(head(1_000));
    expect(await answer(socket)).toMatch(/^HTTP\/1\.1 401 /);
    socket.write("x".repeat(1_000));
  }
  socket.destroy();
});

test("a body without end loses its connection", async () => {
  const socket = await open();
  socket.on("error", () => {});
  socket.write(head(1_000_000_000));
  await answer(socket);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const chunk = "x".repeat(64 * 1024);
  const push = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", push);
  push();
  await closed;
  expect(socket.bytesWritten).toBeLessThan(100_000_000);
});
