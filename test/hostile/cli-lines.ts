import type { Command, Option } from "commander";
import fc from "fast-check";
import { createProgram } from "../../src/cli/cli.ts";

// Command lines made from the commands that there are: a new verb or flag is tried by itself.

/** Lies in the folder of the lines: the file that a server holds. */
export const liveFile = "live.db";
export const openRun = "open-run";
export const closedRun = "closed-run";

/** Commands that do something, by the words that call them. */
export const verbs: readonly (readonly string[])[] = leaves(createProgram(), []);

function leaves(command: Command, words: readonly string[]): string[][] {
  if (command.commands.length === 0) return [[...words]];
  return command.commands.flatMap((child) => leaves(child, [...words, child.name()]));
}

function commandOf(words: readonly string[]): Command {
  return words.reduce(
    (command, word) => command.commands.find((child) => child.name() === word) as Command,
    createProgram(),
  );
}

/** What serving commands get at their end: whatever stood before, they find no certificate and do not serve. */
const noServing = ["--tls-cert", "no-such-file", "--tls-key", "no-such-file"];

const known = fc.constantFrom(openRun, closedRun, liveFile, "w", "nobody's", "default");
const odd = fc.constantFrom(
  "",
  "-",
  "--",
  "-x",
  "__proto__",
  "constructor",
  "../..",
  "%",
  "\u202e",
  "\ud800",
  "a b",
  "=",
);
const values = fc.constantFrom(
  "0",
  "1",
  "-1",
  "9",
  "10",
  "1e3",
  "1.5",
  "99999999999999999999",
  "0ms",
  "1ms",
  "2h",
  "3000d",
);
const formats = fc.constantFrom(
  "json",
  "jsonl",
  "table",
  "{}",
  '{"a":1}',
  "{",
  "null",
  "[1]",
  "completed",
  "RUNNING",
  "0",
);
const word = fc.oneof(
  { arbitrary: known, weight: 3 },
  odd,
  values,
  formats,
  fc.string({ maxLength: 8 }).filter((text) => !["\u0000", "\n", "\r"].some((bad) => text.includes(bad))),
);
/** Nobody is asked who is not of this machine. */
const addresses = fc.constantFrom(
  "http://127.0.0.1:1",
  "127.0.0.1:1",
  "http://[",
  "ftp://127.0.0.1",
  "http://127.0.0.1:99999",
  "",
);

/** What an option asks for, by the name that its help gives it. */
const fits: Readonly<Record<string, fc.Arbitrary<string>>> = {
  duration: fc.constantFrom("0", "0ms", "0.4ms", "1ms", "300ms", "2h", "3000d", "1157407d"),
  json: fc.constantFrom("{}", '{"a":1}', "null", "[1]", `"${"x".repeat(5_000)}"`),
  n: fc.constantFrom("0", "1", "-1", "1001", "9007199254740991"),
  "0-9": fc.constantFrom("0", "9", "10", "-1"),
  file: known,
};
function fitting({ flags, argChoices }: Option): fc.Arbitrary<string> {
  if (argChoices !== undefined) return fc.constantFrom(...argChoices);
  return fits[/<([^>]+)>/.exec(flags)?.[1] ?? ""] ?? known;
}

function flagsOf(command: Command): fc.Arbitrary<string[]>[] {
  return command.options.map((option) => {
    const flag = fc.constantFrom(...[option.long, option.short].filter((name) => typeof name === "string"));
    if (option.long === "--address") return fc.tuple(flag, addresses);
    if (!option.required && !option.optional) return flag.map((name) => [name]);
    const value = fc.oneof({ arbitrary: fitting(option), weight: 3 }, word);
    return fc.oneof(
      { arbitrary: fc.tuple(flag, value), weight: 5 },
      fc.tuple(flag, value).map(([name, text]) => [`${name}=${text}`]),
      flag.map((name) => [name]),
    );
  });
}

/** Lines that call one command: with about as many arguments as it takes, and any of its flags in any place. */
export function linesOf(words: readonly string[]): fc.Arbitrary<string[]> {
  const command = commandOf(words);
  const takes = command.registeredArguments.length;
  const count = fc.oneof({ arbitrary: fc.constant(takes), weight: 6 }, fc.constantFrom(0, takes + 1));
  const plain = count.chain((length) => fc.array(word, { minLength: length, maxLength: length }));
  const other = fc.oneof(fc.constantFrom("--help", "-h", "--version", "--nothing", "-z"), word).map((text) => [text]);
  const flags = fc.array(fc.oneof({ arbitrary: fc.oneof(...flagsOf(command)), weight: 12 }, other), { maxLength: 4 });
  return fc.tuple(plain, flags, fc.infiniteStream(fc.nat())).map(([args, units, places]) => {
    const line: string[][] = args.map((text) => [text]);
    for (const unit of units) line.splice((places.next().value as number) % (line.length + 1), 0, unit);
    const serves = command.options.some(({ long }) => long === "--listen");
    return [...words, ...line.flat(), ...(serves ? noServing : [])];
  });
}

/** Lines of any words, verbs among them. */
export const anyLine: fc.Arbitrary<string[]> = fc
  .array(fc.oneof(word, fc.constantFrom(...verbs.flat(), "help", "--help", "--version", "-V")), { maxLength: 6 })
  .map((line) => (line.some((text) => text === "serve" || text === "dev") ? [...line, ...noServing] : line));
