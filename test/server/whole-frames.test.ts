import fc from "fast-check";
import { expect, test } from "vitest";
import { wholeFrames } from "../../src/server/whole-frames.ts";

/** Each content behind its head of flags and length. */
function framed(contents: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    contents.flatMap((content) => {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(content.length, 1);
      return [head, content];
    }),
  );
}

/** The bytes in chunks that end at these places. */
async function* chunksOf(bytes: Buffer, places: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    yield bytes.subarray(from, end);
    from = end;
  }
}

const contents = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 });
const places = fc.array(fc.nat(200), { maxLength: 8 });

test("whole frames pass as they are, however they are cut into chunks", async () => {
  await fc.assert(
    fc.asyncProperty(contents, places, async (frames, cuts) => {
      const bytes = framed(frames);
      const passed: Uint8Array[] = [];
      for await (const chunk of wholeFrames(chunksOf(bytes, cuts))) passed.push(chunk);
      expect(Buffer.concat(passed)).toEqual(bytes);
    }),
  );
});

test("a stream that ends inside a content fails, whatever the chunks, and all of it has passed", async () => {
  await fc.assert(
    fc.asyncProperty(
      contents,
      fc.uint8Array({ minLength: 1, maxLength: 20 }),
      fc.nat(),
      places,
      async (frames, last, left, cuts) => {
        const missing = 1 + (left % last.length);
        const whole = framed([...frames, last]);
        const bytes = whole.subarray(0, whole.length - missing);
        let passed = 0;
        const read = async () => {
          for await (const chunk of wholeFrames(chunksOf(bytes, cuts))) passed += chunk.length;
        };
        await expect(read()).rejects.toThrow(`the stream ended ${missing} bytes before its last message did`);
        expect(passed).toBe(bytes.length);
      },
    ),
  );
});
