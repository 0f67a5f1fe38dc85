// A JSON text read for the outermost of its members only, each as the text that it is. What a caller puts into a payload
// is never made into values: numbers that JavaScript cannot hold go through, and 4 MiB of brackets or of small numbers
// cost their reading, some tenths of a second, and not the seconds that JSON.parse takes to build and walk them.

/** Lists and objects in each other: as many as the seed's reader took. */
const depthMax = 10_000;

export class JsonFault extends Error {}

const quote = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const colon = 0x3a;
const backslash = 0x5c;
const openList = 0x5b;
const openObject = 0x7b;
const closeObject = 0x7d;

/** The members of the object that the text is; undefined when it is another value. Of two of one name the last counts. */
export function membersOf(text: string): Map<string, string> | undefined {
  const reader = new Reader(text);
  const members = new Map<string, string>();
  reader.space();
  const isObject = reader.next() === openObject;
  if (!isObject) reader.value();
  else reader.members((name, value) => members.set(name, value));
  reader.end();
  return isObject ? members : undefined;
}

/** A text that was read before, without the white space between its parts; never a view into a larger one. */
export function compact(text: string): string {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) quoted = !quoted;
    else if (quoted) at += code === backslash ? 1 : 0;
    else if (isSpace(code)) {
      if (at > from) parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return Buffer.from(parts.join("")).toString();
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

class Reader {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }
  /** NaN behind the end. */
  next(): number {
    return this.#text.charCodeAt(this.#at);
  }
  space(): void {
    while (isSpace(this.next())) this.#at += 1;
  }
  end(): void {
    this.space();
    if (this.#at < this.#text.length) this.#fault();
  }
  members(each: (name: string, value: string) => void): void {
    this.#at += 1;
    this.space();
    if (this.#took(closeObject)) return;
    do {
      this.space();
      const nameAt = this.#at;
      this.#string();
      const written = this.#text.slice(nameAt, this.#at);
      const name = written.includes("\\") ? (JSON.parse(written) as string) : written.slice(1, -1);
      this.#colon();
      this.space();
      const valueAt = this.#at;
      this.value();
      each(name, this.#text.slice(valueAt, this.#at));
      this.space();
    } while (this.#took(comma));
    this.#take(closeObject);
  }
  /** Goes behind one value, without recursion: its depth is the caller's choice. */
  value(): void {
    const closing: number[] = [];
    do {
      this.space();
      const code = this.next();
      if (code === openList || code === openObject) this.#open(code + 2, closing);
      else {
        this.#plain(code);
        this.#goOn(closing);
      }
    } while (closing.length > 0);
  }
  /** Behind an opening bracket: what stands there next is a value, unless there is none. */
  #open(close: number, closing: number[]): void {
    if (closing.length === depthMax) throw new JsonFault(`it is nested deeper than ${depthMax} levels`);
    this.#at += 1;
    this.space();
    if (this.#took(close)) return this.#goOn(closing);
    closing.push(close);
    if (close === closeObject) this.#name();
  }
  /** Behind a value: closes what ends with it. What stands there next is a value, unless nothing is open any more. */
  #goOn(closing: number[]): void {
    for (let close = closing.at(-1); close !== undefined; close = closing.at(-1)) {
      this.space();
      if (this.#took(comma)) {
        if (close === closeObject) this.#name();
        return;
      }
      this.#take(close);
      closing.pop();
    }
  }
  #name(): void {
    this.space();
    this.#string();
    this.#colon();
  }
  #colon(): void {
    this.space();
    this.#take(colon);
  }
  #plain(code: number): void {
    if (code === quote) return this.#string();
    if (code === minus || isDigit(code)) return this.#number();
    const word = ["true", "false", "null"].find((found) => this.#text.startsWith(found, this.#at));
    if (word === undefined) this.#fault();
    this.#at += word.length;
  }
  #string(): void {
    this.#take(quote);
    for (;;) {
      const code = this.next();
      if (!(code >= 0x20)) this.#fault();
      this.#at += 1;
      if (code === quote) return;
      if (code === backslash) this.#escape();
    }
  }
  #escape(): void {
    const hex = this.#text.charAt(this.#at) === "u" ? this.#text.slice(this.#at + 1, this.#at + 5) : undefined;
    const fits = hex === undefined ? /["\\/bfnrt]/.test(this.#text.charAt(this.#at)) : /^[0-9a-f]{4}$/i.test(hex);
    if (!fits) this.#fault();
    this.#at += hex === undefined ? 1 : 5;
  }
  #number(): void {
    this.#took(minus);
    if (!this.#took(0x30)) this.#digits();
    if (this.#took(0x2e)) this.#digits();
    if (this.#took(0x65) || this.#took(0x45)) {
      if (!this.#took(0x2b)) this.#took(minus);
      this.#digits();
    }
  }
  #digits(): void {
    if (!isDigit(this.next())) this.#fault();
    while (isDigit(this.next())) this.#at += 1;
  }
  #took(code: number): boolean {
    if (this.next() !== code) return false;
    this.#at += 1;
    return true;
  }
  #take(code: number): void {
    if (!this.#took(code)) this.#fault();
  }
  #fault(): never {
    const { length } = this.#text;
    throw new JsonFault(
      this.#at >= length ? "it ends too early" : `what stands at place ${this.#at} does not belong there`,
    );
  }
}
