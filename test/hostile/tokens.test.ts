import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { createEngine, createServer } from "../../src/index.ts";
import { refusalOf } from "../interop/refusal.ts";
import { anyUnit, assertCases, times } from "./cases.ts";
import { fillLists, itemsOfEach, type List, listsOf } from "./lists.ts";

// A token goes on where its page ended, in the call that gave it out and for what that call was asked about. Anything
// else is refused with the field's name: a list that went on elsewhere would leave items out without a word.

let lists: readonly List[];
let stop: () => Promise<void>;
beforeAll(async () => {
  const engine = await createEngine({ path: ":memory:" });
  const server = createServer(engine, { port: 0 });
  const { url } = await server.listen();
  stop = async () => {
    await server.close(100);
    await engine.stop();
  };
  await fillLists(url);
  lists = listsOf(url);
});
afterAll(() => stop());

function listNamed(method: string): List {
  return lists.find((list) => list.method === method) as List;
}
const firstToken = async (list: List): Promise<string> => (await list.page(list.asked[0], "")).token;

async function expectRefused(list: List, token: string, asked = list.asked[0]): Promise<void> {
  const refused = await refusalOf(list.page(asked, token));
  expect(refused, JSON.stringify({ token, asked })).toMatchObject({
    code: "InvalidArgument",
    reason: "BAD_PAGE_TOKEN",
    field: list.field,
  });
}

test("every call that takes a token is among them", () => {
  const takes = [RunService, LeaseService].flatMap((service) =>
    service.methods.flatMap(({ name, input }) =>
      input.fields.filter((field) => /token|cursor/.test(field.name)).map((field) => `${name} ${field.name}`),
    ),
  );
  expect(lists.map(({ method, field }) => `${method} ${field}`).sort()).toEqual(takes.sort());
});

/** As it is encoded, but with other content. */
const forge = (content: unknown) => Buffer.from(JSON.stringify(content)).toString("base64url");

describe.each(["ListRuns", "GetRunHistory", "ListSteps", "ListSignals", "WatchRuns"])("%s", (method) => {
  test("goes on from its own tokens to the last item, leaves none out and shows none twice", async () => {
    const list = listNamed(method);
    const items: string[] = [];
    let token = "";
    do {
      const page = await list.page(list.asked[0], token);
      if (page.items.length === 0) break;
      items.push(...page.items);
      token = page.token;
    } while (token !== "");
    expect(new Set(items).size).toBe(items.length);
    expect(items.length).toBeGreaterThanOrEqual(itemsOfEach);
  });

  test("refuses a token of another call, and of another question", async () => {
    const list = listNamed(method);
    for (const other of lists) if (other !== list) await expectRefused(list, await firstToken(other));
    const token = await firstToken(list);
    for (const asked of list.asked.slice(1)) await expectRefused(list, token, asked);
  });

  test("refuses a token with one byte changed, left out or put in, wherever it is", {
    timeout: 30_000 * times,
  }, async () => {
    const list = listNamed(method);
    const token = await firstToken(list);
    const bytes = fc.constantFrom(..."AZaz09-_=.+/ \u0000é");
    const change = fc.tuple(fc.nat({ max: token.length }), fc.constantFrom("set", "cut", "put"), bytes);
    for (let at = 0; at < token.length; at++) {
      // The lowest bits of the last character are none of the content's: another character may mean the same bytes.
      const next = String.fromCharCode(token.charCodeAt(at) + 1);
      await expectRefused(list, token.slice(0, at) + next + token.slice(at + 1));
    }
    await assertCases(
      fc.asyncProperty(change, async ([at, what, byte]) => {
        const mangled = token.slice(0, at) + (what === "cut" ? "" : byte) + token.slice(what === "put" ? at : at + 1);
        fc.pre(mangled !== token && mangled !== "");
        await expectRefused(list, mangled);
      }),
      { numRuns: 15, limitMs: 5_000 },
    );
  });

  test("refuses what nobody gave out", { timeout: 30_000 * times }, async () => {
    const list = listNamed(method);
    const token = await firstToken(list);
    const place: unknown[] = JSON.parse(Buffer.from(token, "base64url").toString());
    const numbers = [-1, 0.5, 2 ** 53, 1e300, "1", null, [1], {}, true];
    const forged = numbers.flatMap((number) =>
      place.map((_, at) => forge(place.map((value, index) => (index === at ? number : value)))),
    );
    const long = [token.repeat(2), token + "A".repeat(200), "A".repeat(100_000), token.slice(0, -1)];
    for (const bad of [...forged, ...long, forge([]), forge(place.slice(0, -1)), forge([...place, 1])]) {
      await expectRefused(list, bad);
    }
    const any = fc.oneof(
      fc.string({ minLength: 1, unit: anyUnit }),
      fc.base64String({ minLength: 1 }),
      fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
      fc.json().map((text) => Buffer.from(text).toString("base64url")),
    );
    await assertCases(
      fc.asyncProperty(any, async (text) => {
        // The one word that a cursor may be.
        fc.pre(!(list.field === "cursor" && text === "0"));
        await expectRefused(list, text);
      }),
      { numRuns: 15, limitMs: 5_000 },
    );
  });
});
