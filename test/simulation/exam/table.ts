// What a campaign of the exam has shown, as the table of the README: for each plant the time and the seeds that each
// campaign took, and what failed first.

export interface Row {
  readonly campaign: number;
  readonly name: string;
  /** Up to the one that failed. */
  readonly seeds: number;
  /** Processor time. */
  readonly seconds: number;
  /** Absent when the plant was not found. */
  readonly failure?: string | undefined;
}

const failureLengthMax = 90;

/** Markdown: a line of figures, and one row for each plant, with its campaigns in order. */
export function tableOf(rows: readonly Row[]): string {
  const byName = new Map<string, Row[]>();
  for (const row of rows) byName.set(row.name, [...(byName.get(row.name) ?? []), row]);
  const campaigns = Math.max(0, ...rows.map(({ campaign }) => campaign));
  const lines = [...byName].map(([name, times]) => {
    const failure = times.find((row) => row.failure !== undefined)?.failure?.split("\n")[0] ?? "";
    const short = failure.length > failureLengthMax ? `${failure.slice(0, failureLengthMax)}...` : failure;
    return `| ${name} | ${times.map(timeOf).join(", ")} | ${short.replaceAll("|", "\\|")} |`;
  });
  return [
    figuresOf(rows),
    "",
    `| plant | seconds (seeds) in ${campaigns === 1 ? "one campaign" : `${campaigns} campaigns`} | what failed |`,
    "|---|---|---|",
    ...lines,
  ].join("\n");
}

function timeOf({ seconds, seeds, failure }: Row): string {
  const time = `${rounded(seconds)} (${seeds.toLocaleString("en")})`;
  return failure === undefined ? `NOT FOUND in ${time}` : time;
}

function figuresOf(rows: readonly Row[]): string {
  const found = rows.filter(({ failure }) => failure !== undefined).toSorted((a, b) => a.seconds - b.seconds);
  const longest = found.at(-1);
  if (longest === undefined) return `0 of ${rows.length} hunts found their plant.`;
  const middle = (found.length - 1) / 2;
  const median = (found[Math.floor(middle)]!.seconds + found[Math.ceil(middle)]!.seconds) / 2;
  return (
    `${found.length} of ${rows.length} hunts found their plant; the median of these is ${rounded(median)} s, ` +
    `the longest ${rounded(longest.seconds)} s (${longest.name}).`
  );
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
