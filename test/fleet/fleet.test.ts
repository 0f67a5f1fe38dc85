import { expect, test } from "vitest";
import { type Driver, languages, prepareDriver } from "../wire/languages.ts";
import { runFleet } from "./fleet.ts";

// The gate part; `npm run fleet` is the long one: 5,000 runs, 30 kills of workers and 10 of the server.

test("a mixed fleet under kill -9 completes every run once", { timeout: 180_000 }, async () => {
  const drivers = languages.map(prepareDriver).filter((driver): driver is Driver => "command" in driver);
  const report = await runFleet({ drivers, runs: 300, workerKills: 4, serverKills: 2 });
  expect(report).toMatchObject({ completed: 300, stepResults: 1_500, problems: [] });
  expect(report.verify).toContain(" 0 problems");
});
