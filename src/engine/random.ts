import { randomBytes } from "node:crypto";

/** Chance as the engine sees it. The simulator brings a seeded one. */
export interface Random {
  /** `bytes` random bytes as hexadecimal digits; unguessable in the real one. */
  hex(bytes: number): string;
  /** In [0, 1). */
  float(): number;
}

export function createSystemRandom(): Random {
  // Bytes are drawn in blocks: one system call for many ids.
  let block = randomBytes(4_096);
  let used = 0;
  return {
    hex(bytes) {
      if (used + bytes > block.length) {
        block = randomBytes(4_096);
        used = 0;
      }
      used += bytes;
      return block.toString("hex", used - bytes, used);
    },
    float: Math.random,
  };
}
