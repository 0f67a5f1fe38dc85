import { Code, ConnectError } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Compression } from "@connectrpc/connect/protocol";

// gzip of messages. Connect calls two things INTERNAL, with one text: bytes that end too early, which only their sender
// can have done, and a server without memory for the work. Here the first becomes the sender's mistake.

export const gzip: Compression = {
  ...compressionGzip,
  decompress: (bytes, readMaxBytes) => compressionGzip.decompress(bytes, readMaxBytes).catch(throwBlamed),
};

/** Throws it again, or as a mistake of the sender's. Connect names broken bytes (Z_DATA_ERROR) as such already. */
export function throwBlamed(error: unknown): never {
  const cause = error instanceof ConnectError ? (error.cause as { readonly code?: unknown } | undefined) : undefined;
  if (cause?.code !== "Z_BUF_ERROR") throw error;
  throw new ConnectError("decompression failed: the bytes end too early", Code.InvalidArgument);
}
