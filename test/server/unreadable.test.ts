import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { gzip, throwBlamed } from "../../src/server/gzip.ts";
import { unreadable } from "../../src/server/unreadable.ts";

// Whose mistake it is that a message could not be read: the sender is told only of its own.

async function errorOf(bytes: Uint8Array): Promise<ConnectError> {
  return gzip.decompress(bytes, 1_000).then(
    () => expect.fail("the bytes were read"),
    (error: unknown) => error as ConnectError,
  );
}
const whole = gzipSync("a message");

test.each([
  ["that end too early", whole.subarray(0, whole.length - 3), "INVALID"],
  ["that are no gzip", Buffer.from("a message without any compression"), "INVALID"],
  ["with another checksum", Buffer.from(whole).fill(0, whole.length - 8), "INVALID"],
  ["of more than a message may have", gzipSync(Buffer.alloc(1_001)), "PAYLOAD_TOO_LARGE"],
])("compressed bytes %s are the sender's mistake", async (_what, bytes, reason) => {
  const error = await errorOf(bytes);
  expect(error).toBeInstanceOf(ConnectError);
  expect(unreadable(error)?.reason).toBe(reason);
});

test("a message that came whole is read", async () => {
  expect(Buffer.from(await gzip.decompress(whole, 1_000)).toString()).toBe("a message");
});

test.each(["Z_MEM_ERROR", "Z_STREAM_ERROR", "ERR_MEMORY_ALLOCATION_FAILED", undefined])(
  "what zlib says of this machine (%s) is not blamed on the sender",
  (code) => {
    const failed = new ConnectError("decompression failed", Code.Internal, undefined, undefined, { code });
    expect(() => throwBlamed(failed)).toThrow(failed);
    expect(unreadable(failed)).toBeUndefined();
  },
);
