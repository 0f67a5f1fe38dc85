import type { Driver } from "./languages.ts";
import type { Scenario } from "./scenario.ts";

/** A scenario and the drivers that it is run with: the one of "a" and, where two languages meet, the one of "b". */
export interface Trial {
  readonly scenario: Scenario;
  readonly drivers: readonly [Driver, Driver?];
  readonly name: string;
}

/** Every scenario for every driver, and those in which two languages meet for every pair. */
export function trialsOf(scenarios: readonly Scenario[], available: readonly Driver[]): Trial[] {
  return scenarios.flatMap((scenario): Trial[] =>
    available
      .filter(({ language }) => scenario.without?.[language] === undefined)
      .flatMap((one): Trial[] => {
        const { name } = scenario;
        if (scenario.server === "scripted" || !scenario.pairs) {
          return [{ scenario, drivers: [one], name: `${name}: ${one.language}` }];
        }
        return available.map((other) => ({
          scenario,
          drivers: [one, other],
          name: `${name}: ${one.language} to ${other.language}`,
        }));
      }),
  );
}
