import fc from "fast-check";
import { expect, test } from "vitest";
import { anyUnit } from "../hostile/cases.ts";
import { compact, JsonFault, membersOf } from "../../src/server/json-api/json-text.ts";

// The reader of JSON texts takes exactly what JSON.parse takes, and says the same of it.

function read(text: string): Map<string, string> | undefined | "no JSON" {
  try {
    return membersOf(text);
  } catch (error) {
    expect(error).toBeInstanceOf(JsonFault);
    return "no JSON";
  }
}

function expectLikeParse(text: string): void {
  const found = read(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    expect(found, text).toBe("no JSON");
    return;
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject) {
    expect(found, text).toBeUndefined();
    return;
  }
  expect(found, text).toBeInstanceOf(Map);
  const members = [...(found as Map<string, string>)].map(([name, part]) => [name, JSON.parse(part)] as const);
  expect(members).toEqual(expect.arrayContaining(Object.entries(value as object)));
  expect(members.length).toBe(Object.keys(value as object).length);
}

const json = fc.oneof(
  fc.json({ stringUnit: anyUnit }),
  fc.jsonValue().map((value) => JSON.stringify(value, null, "\r\n\t ")),
  fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value)),
);

test("what JSON is, is taken member by member", () => {
  fc.assert(fc.property(json, expectLikeParse), { numRuns: 1_000 });
});

test("with a character changed, left out or put in, it says what JSON.parse says", () => {
  const odd = fc.constantFrom(...'{}[]",:\\/ut0123-+.eEnfalsr \n\u00a0\u2028\u0000\u001f');
  const mangled = fc.tuple(json, fc.nat(), fc.constantFrom(0, 1), odd).map(([text, place, cut, put]) => {
    const at = place % (text.length + 1);
    return text.slice(0, at) + put + text.slice(at + cut);
  });
  const pieces = fc.array(odd, { maxLength: 12 }).map((parts) => parts.join(""));
  fc.assert(fc.property(fc.oneof(mangled, pieces), expectLikeParse), { numRuns: 4_000 });
});

test.each(['{"a":1,"a":2}', '{"\\u0061":1,"a":2}', '{"__proto__":1}', '{"":{}}', "{}", " {\n} "])(
  "%s",
  expectLikeParse,
);

test("white space between the parts goes, everything else stays", () => {
  const value = fc.jsonValue({ stringUnit: anyUnit });
  fc.assert(
    fc.property(value, (part) => {
      expect(compact(JSON.stringify(part, null, " \n\t"))).toBe(JSON.stringify(part));
    }),
  );
  expect(compact('[ 1.0 , 1e400, "\\" \\u0041 ", 12345678901234567890 ]')).toBe(
    '[1.0,1e400,"\\" \\u0041 ",12345678901234567890]',
  );
});

test("it is nested 10,000 levels deep at most", () => {
  const deep = (levels: number) => `{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`;
  expect(membersOf(deep(10_000))?.get("a")?.length).toBe(20_000);
  expect(() => membersOf(deep(10_001))).toThrow(/nested deeper/);
});
