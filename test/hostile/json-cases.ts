import fc from "fast-check";
import { endpoints } from "../../src/server/json-api/routes.ts";
import { anyUnit } from "./cases.ts";
import { describedBodies, isDescribed } from "../json-api/described.ts";

// What may be sent to the seed's interface by mistake or by malice: made from its own list of endpoints and from the
// description of their bodies, so that a new one is tried by itself.

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Held by worker "w": with it a body that happens to be right goes all the way. */
export const target = "target";

const fieldsOf = new Map(describedBodies().map(({ method, path, fields }) => [`${method} ${path}`, fields]));
const allFields = [...new Set([...fieldsOf.values()].flat())];

const texts = fc.oneof(
  fc.constantFrom(target, "w", "fixed", "", "__proto__", "constructor", "\u0000", "\ud800", "a\u202eb", "\x1b[2J"),
  fc.constantFrom("../..", "';--", "%00", "x".repeat(300), "é".repeat(5_000), "1", "null"),
  fc.string({ unit: anyUnit, maxLength: 20 }),
);
/** As they are written: no number of JavaScript can hold some of them. */
const numbers = fc.oneof(
  fc.constantFrom("0", "1", "-1", "5", "-0", "1.0", "1.5", "1e400", "-1e400", "1e-400", "9007199254740993"),
  fc.constantFrom("9223372036854775808", "-9223372036854775809", "100000000001", "9".repeat(2_000), "1e2147483648"),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
);
const deep = fc.tuple(fc.constantFrom(50, 3_000, 100_000), fc.constantFrom("[", '{"a":')).map(([depth, open]) => {
  return `${open.repeat(depth)}1${(open === "[" ? "]" : "}").repeat(depth)}`;
});
const values = fc.oneof(
  { arbitrary: texts.map((text) => JSON.stringify(text)), weight: 4 },
  { arbitrary: numbers, weight: 4 },
  fc.json(),
  fc.constantFrom("null", "true", "[]", "{}", '{"__proto__":{"a":1}}', "NaN", "undefined", "'a'", "01", "1n"),
  deep,
);
const right: Readonly<Record<string, string>> = {
  workflow_id: JSON.stringify(target),
  worker_id: '"w"',
  step_number: "1",
  policy: '"fixed"',
  wake_at: "1",
  lease_duration: "300",
  retry_count: "1",
  max_retries: "3",
  base_seconds: "1",
  max_seconds: "9",
  lease_id: '""',
  epoch: "0",
};

/** A JSON object, mostly with the right names, some of them twice, and some values that fit. */
function objectFor(fields: readonly string[]): fc.Arbitrary<string> {
  const field = fc.oneof(
    { arbitrary: fc.constantFrom(...fields), weight: 9 },
    fc.constantFrom(...allFields, "__proto__"),
  );
  const odd = fc.array(fc.tuple(field, values), { maxLength: 3 });
  const missing = fc.oneof({ arbitrary: fc.constant(""), weight: 3 }, fc.constantFrom(...fields));
  return fc.tuple(odd, missing).map(([odds, left]) => {
    const whole = fields.filter((name) => name !== left).map((name) => [name, right[name] ?? '"x"'] as const);
    return `{${[...whole, ...odds].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join()}}`;
  });
}

/** Bodies for each endpoint that would do, but for one field. */
export function oneWrong(): { call: Call; field: string }[] {
  const wrong = ["[]", '"\\u0000"', "-1e400", "1.5", "{}", undefined];
  return describedBodies().flatMap(({ method, path, fields }) =>
    fields.flatMap((field) =>
      wrong.flatMap((value) => {
        const members = fields.map((name) => [name, name === field ? value : (right[name] ?? '"x"')] as const);
        const given = members.filter(([, text]) => text !== undefined);
        const body = `{${given.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join()}}`;
        if (isDescribed(method, path, JSON.parse(body))) return [];
        return [{ call: { method, path: path.replace("{id}", target), body }, field }];
      }),
    ),
  );
}

const bytes = (...parts: (string | number[])[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

/** Bodies that are refused wherever a body is read. */
export const noObjects: readonly (readonly [what: string, body: string | Uint8Array<ArrayBuffer>])[] = [
  ["nothing", ""],
  ["white space", " \n\t "],
  ["an object that is cut off", '{"workflow_id":"a"'],
  ["something behind the object", "{} {}"],
  ["a comma too many", '{"workflow_id":"a",}'],
  ["a list", '[{"workflow_id":"a"}]'],
  ["a text", '"{}"'],
  ["a number", "1"],
  ["a number that is too large", "1e400"],
  ["null", "null"],
  ["a form", "workflow_id=a&worker_id=w"],
  ["XML", "<workflow_id>a</workflow_id>"],
  ["a byte that is no UTF-8", bytes('{"workflow_id":"', [0xff], '"}')],
  ["half of a character", bytes('{"workflow_id":"', [0xed, 0xa0, 0x80], '"}')],
  ["a character that is written too long", bytes('{"workflow_id":"', [0xc0, 0xaf], '"}')],
  ["UTF-16", new Uint8Array(Buffer.from('{"workflow_id":"a"}', "utf16le"))],
  ["100,000 lists in each other", "[".repeat(100_000) + "]".repeat(100_000)],
  ["a list that is opened half a million times", "[".repeat(500_000)],
  ["a raw control character", '{"workflow_id":"a\u0001"}'],
];

/** Segments of a path, as they are written there. */
export const ids = fc.oneof(
  { arbitrary: fc.constant(target), weight: 4 },
  fc.constantFrom("%", "%zz", "%ff", "%00", "%0a", "%ed%a0%80", "..", "%2e%2e", "..%2f..", "%2F", "a%2fb", "__proto__"),
  fc.constantFrom("a".repeat(8_193), "%41".repeat(8_193), "a".repeat(50_000), "{id}", "*", "a;b", "a&b=c"),
  fc.string({ unit: anyUnit, maxLength: 20, minLength: 1 }).map((text) => encodeURIComponent(text.toWellFormed())),
);

const contentTypes = [
  "application/json",
  "text/plain",
  "application/grpc",
  "multipart/form-data",
  "",
  "application/json; charset=utf-16",
];

/** Any call of any endpoint. */
export const calls: fc.Arbitrary<Call> = fc
  .constantFrom(...endpoints)
  .chain(([method, path]) => {
    const fields = fieldsOf.get(`${method} ${path}`);
    const body = fields === undefined ? fc.constant(undefined) : objectFor(fields);
    const query = fc.constantFrom("", "", "?", "?unconsumed=true", "?unconsumed=%ff&unconsumed", "?%zz=%");
    const type = fc.oneof({ arbitrary: fc.constant("application/json"), weight: 3 }, fc.constantFrom(...contentTypes));
    return fc.record({
      method: fc.constant(method as string),
      path: fc.tuple(ids, query).map(([id, asked]) => path.replace("{id}", id) + asked),
      body,
      headers: type.map((name) => ({ "content-type": name })),
    });
  })
  .map(({ body, ...call }) => (body === undefined ? call : { ...call, body }));
