// The stream of a session over Connect's protocol: frames are written to the HTTP/2 stream and cut out of what comes,
// without the generators of Connect's transport, each of which is a turn of the microtask queue for every message.
import { type ClientHttp2Stream, constants } from "node:http2";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromHttpStatus, endStreamFlag, endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import type { SessionResponse, WorkerFrame } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { type LeanConnection, mediaTypeOf, resetBy, unavailable } from "./lean-calls.ts";
import type { FrameStream, StreamEvents } from "./ports.ts";
import { framesOf, leanRequest, leanSession } from "./session-wire/lean-session.ts";

const contentType = "application/connect+proto";
/** Before each message: flags, and the length of what follows. */
const headBytes = 5;
/** Bytes that the transport is given at once. */
const writeBytesMax = 256 * 1_024;

export function openLeanStream(connection: LeanConnection, events: StreamEvents): FrameStream {
  let stream: ClientHttp2Stream | undefined;
  let waiting: WorkerFrame[] = [];
  let scheduled = false;
  let full = false;
  let finished = false;
  let over = false;

  function end(error: unknown): void {
    if (over) return;
    over = true;
    stream?.close(error === undefined ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    events.onEnd(error);
  }

  /** What is sent in one turn of the event loop leaves in one piece. */
  function schedule(): void {
    if (scheduled || over || stream === undefined) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      flush();
    });
  }
  function flush(): void {
    while (!full && !over && waiting.length > 0) {
      let pieces: Uint8Array[];
      try {
        pieces = encodeWaiting();
      } catch (error) {
        // Here nobody can be told which call gave a value that no frame can carry; who made the frame should have asked.
        return end(ConnectError.from(error, Code.Internal));
      }
      full = stream?.write(Buffer.concat(pieces)) === false;
    }
    if (full || over) return;
    if (finished) stream?.end();
    else events.onWritable();
  }

  function encodeWaiting(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let taken = 0;
    for (let bytes = 0; taken < waiting.length && bytes < writeBytesMax; taken++) {
      const message = toBinary(leanSession.input, leanRequest(waiting[taken] as WorkerFrame));
      pieces.push(headOf(message.length), message);
      bytes += message.length;
    }
    waiting = waiting.slice(taken);
    return pieces;
  }

  function opened(given: ClientHttp2Stream): void {
    stream = given;
    let failure: Error | undefined;
    given.on("error", (error) => (failure = error));
    if (over) return given.close(constants.NGHTTP2_CANCEL);
    let answered = false;
    given.on("response", (headers) => {
      const status = headers[":status"] ?? 0;
      const type = mediaTypeOf(headers);
      answered = status === 200 && type === contentType;
      if (status !== 200) end(new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status)));
      else if (!answered) end(new ConnectError(`unsupported content type ${type}`, Code.Unknown));
    });
    const read = messageReader(connection.readMaxBytes, receive);
    given.on("data", (chunk: Uint8Array) => {
      connection.sessions.notifyResponseByteRead(given);
      if (over || !answered) return;
      try {
        read(chunk);
      } catch (error) {
        end(ConnectError.from(error, Code.Internal));
      }
    });
    given.on("drain", () => {
      full = false;
      flush();
    });
    // As some proxies end them. One that was reset ends, too.
    given.on("end", () => {
      if (given.rstCode === 0) end(new ConnectError("the stream ended before its end was said", Code.InvalidArgument));
    });
    given.on("close", () => end(failure === undefined ? resetBy(given.rstCode ?? 0) : unavailable(failure)));
    schedule();
  }
  function receive(flags: number, bytes: Uint8Array): void {
    if (flags === endStreamFlag) return end(endStreamFromJson(bytes).error);
    if (flags !== 0) throw new ConnectError(`a message has flags ${flags}, which nobody asked for`, Code.Internal);
    const response = fromBinary(leanSession.output, bytes, { readUnknownFields: false });
    for (const frame of framesOf(response as SessionResponse)) if (!over) events.onFrame(frame);
  }

  connection.sessions
    .request("POST", connection.pathOf(leanSession), { ...connection.headers, "content-type": contentType }, {})
    .then(opened, (error: unknown) => end(unavailable(error)));

  return {
    get waitingFrames() {
      return waiting.length;
    },
    send(frame) {
      if (finished || over) return;
      waiting.push(frame);
      schedule();
    },
    finish() {
      finished = true;
      schedule();
    },
    abort() {
      over = true;
      stream?.close(constants.NGHTTP2_CANCEL);
    },
  };
}

function headOf(bytes: number): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(bytes, 1);
  return head;
}

/** Cuts chunks into messages. Throws when one is too large. */
function messageReader(readMaxBytes: number, receive: (flags: number, bytes: Uint8Array) => void) {
  /** What came of a message that is not whole, how many bytes that is, and how many have to come before it is looked at. */
  let parts: Uint8Array[] = [];
  let partsBytes = 0;
  let wantedBytes = headBytes;

  return (chunk: Uint8Array): void => {
    parts.push(chunk);
    partsBytes += chunk.length;
    if (partsBytes < wantedBytes) return;
    const bytes = parts.length === 1 ? chunk : Buffer.concat(parts);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (;;) {
      wantedBytes = headBytes;
      if (bytes.length - at < wantedBytes) break;
      wantedBytes += view.getUint32(at + 1);
      if (wantedBytes > readMaxBytes)
        throw new ConnectError(`a message has ${wantedBytes - headBytes} bytes`, Code.ResourceExhausted);
      if (bytes.length - at < wantedBytes) break;
      // A copy: a payload that is kept would keep all that came with it.
      receive(view.getUint8(at), Uint8Array.prototype.slice.call(bytes, at + headBytes, at + wantedBytes));
      at += wantedBytes;
    }
    parts = at === bytes.length ? [] : [bytes.subarray(at)];
    partsBytes = bytes.length - at;
  };
}
