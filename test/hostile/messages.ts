import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

// Messages of any content, made from their description: whatever a field may hold, good and bad values alike. `real`
// gives values that the server knows, by the name of a message's type, so that not everything ends at the first lookup.

export type Real = Readonly<Record<string, readonly Message[]>>;

const depthMax = 4;

const texts = fc.oneof(
  { arbitrary: fc.constantFrom("w", "default", "a", "run-1", "run-2"), weight: 4 },
  fc.constantFrom("", "__proto__", "constructor", "\u0000", "a\u202eb", "../..", "';--", "\x1b[2J", "x".repeat(9_000)),
  fc.string({ maxLength: 20 }),
);
const integers = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 5 }), weight: 4 },
  fc.constantFrom(-1, 2 ** 31 - 1, -(2 ** 31)),
);
const longs = fc.oneof(
  { arbitrary: fc.bigInt({ min: 0n, max: 50n }), weight: 4 },
  fc.constantFrom(-1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)),
);
const doubles = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, 0));
const bytes = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constant(new TextEncoder().encode('"a"')));

function scalarOf(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return texts;
    case ScalarType.BYTES:
      return bytes;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return doubles;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return longs;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longs.map((value) => BigInt.asUintN(64, value));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integers.map((value) => value >>> 0);
    default:
      return integers;
  }
}

function fieldOf(field: DescField, real: Real, depth: number): fc.Arbitrary<unknown> | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field.scalar);
    case "enum":
      return fc.oneof(fc.constantFrom(...field.enum.values.map(({ number }) => number)), fc.constantFrom(99, -1));
    case "message":
      return depth === depthMax ? undefined : messageOf(field.message, real, depth + 1);
    case "list": {
      if (field.listKind === "scalar") return fc.array(scalarOf(field.scalar), { maxLength: 3 });
      if (field.listKind === "enum") return fc.array(integers, { maxLength: 3 });
      return depth === depthMax ? undefined : fc.array(messageOf(field.message, real, depth + 1), { maxLength: 3 });
    }
    case "map":
      return undefined;
  }
}

export function messageOf(desc: DescMessage, real: Real = {}, depth = 0): fc.Arbitrary<Message> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of desc.members) {
    if (member.kind === "field") {
      const value = fieldOf(member, real, depth);
      if (value !== undefined) parts[member.localName] = value;
      continue;
    }
    const cases = member.fields.flatMap((field) => {
      const value = fieldOf(field, real, depth);
      return value === undefined ? [] : [value.map((found) => ({ case: field.localName, value: found }))];
    });
    if (cases.length > 0) parts[member.localName] = fc.oneof(...cases);
  }
  const any = fc.record(parts, { requiredKeys: [] }).map((init) => create(desc, init as never) as Message);
  const known = real[desc.typeName];
  return known === undefined || known.length === 0
    ? any
    : fc.oneof({ arbitrary: fc.constantFrom(...known), weight: 3 }, any);
}
