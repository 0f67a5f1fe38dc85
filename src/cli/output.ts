import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";

export type OutputFormat = "table" | "json" | "jsonl";

/** Data goes to standard output, everything else to standard error. */
export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printNote(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function printMessage<D extends DescMessage>(schema: D, message: MessageShape<D>, format: OutputFormat): void {
  printLine(JSON.stringify(toJson(schema, message), null, format === "json" ? 2 : undefined));
}

/** Columns as wide as their widest cell. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  for (const row of [header, ...rows]) {
    printLine(
      row
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** An instant for people; "-" when unset. */
export function instant(ms: bigint): string {
  return ms === 0n ? "-" : new Date(Number(ms)).toISOString();
}
