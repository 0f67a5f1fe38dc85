import { expect } from "vitest";
import { testWith } from "../support/tools.ts";
import { passed, type Row } from "./row.ts";
import { rows } from "./rows.ts";

// A few trials of the rows whose long run has its own command, so that the instruments stay sharp.

const few: Record<string, number> = { R3: 1, R6: 40, R7: 2, R9: 4, R15: 1, R15s: 1, R16: 20, R16s: 20 };

for (const [id, trials] of Object.entries(few)) {
  const row = rows.find((found) => found.id === id) as Row;
  testWith("python3", "gcc")(`${id}: ${row.fault}`, { timeout: 180_000 }, async () => {
    const outcome = await row.run(trials);
    expect(outcome.violations).toEqual([]);
    expect(passed(outcome)).toBe(true);
    expect(outcome.trials).toBeGreaterThanOrEqual(trials);
  });
}
