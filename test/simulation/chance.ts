// Chance from one seed: xoshiro128**, one stream for each concern, so that a draw more in one does not move the others.

export class Chance {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, concern: string) {
    let hash = 2_166_136_261 ^ seed;
    for (const letter of concern) hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619);
    const next = (): number => {
      hash = (hash + 0x9e3779b9) | 0;
      let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    [this.#a, this.#b, this.#c, this.#d] = [next(), next(), next(), next() | 1];
  }
  #next(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }
  /** In [0, 1). */
  float(): number {
    return this.#next() / 4_294_967_296;
  }
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.float() * (to - from + 1));
  }
  maybe(share: number): boolean {
    return this.float() < share;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)] as T;
  }
  hex(bytes: number): string {
    let text = "";
    while (text.length < bytes * 2) text += this.#next().toString(16).padStart(8, "0");
    return text.slice(0, bytes * 2);
  }
}
