import { Code, ConnectError } from "@connectrpc/connect";

// gRPC sends each message behind a head of five bytes: flags, and the length of what follows. Connect takes a stream that
// ends right behind a head for one that ended well, and the message that was announced is forgotten without a word.

const headBytes = 5;

/** The bytes of a stream of messages as they are; throws when the stream ends in front of a message's content. */
export async function* wholeFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const head = new DataView(new ArrayBuffer(headBytes));
  let headRead = 0;
  let contentLeft = 0;
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length; ) {
      if (headRead < headBytes) {
        head.setUint8(headRead++, bytes[at++] as number);
        if (headRead === headBytes) contentLeft = head.getUint32(1);
      } else {
        const taken = Math.min(contentLeft, bytes.length - at);
        contentLeft -= taken;
        at += taken;
      }
      if (headRead === headBytes && contentLeft === 0) headRead = 0;
    }
    yield bytes;
  }
  if (contentLeft > 0) {
    throw new ConnectError(`the stream ended ${contentLeft} bytes before its last message did`, Code.InvalidArgument);
  }
}
