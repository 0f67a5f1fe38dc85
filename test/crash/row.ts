/** What a row of trials came to. A trial whose fault did not fire has proven nothing: it counts as failed. */
export interface Outcome {
  readonly trials: number;
  /** Trials in which the fault is proven to have happened. */
  readonly fired: number;
  readonly violations: readonly string[];
  /** What else was measured or counted. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface Row {
  /** The number of the row in the table of faults. */
  readonly id: string;
  readonly fault: string;
  /** Trials of the long run. */
  readonly trials: number;
  run(trials: number): Promise<Outcome>;
}

export function passed(outcome: Outcome): boolean {
  return outcome.violations.length === 0 && outcome.trials > 0 && outcome.fired === outcome.trials;
}

/** Counts trials as they go. */
export class Tally {
  trials = 0;
  fired = 0;
  readonly violations: string[] = [];
  readonly figures: Record<string, number | string> = {};

  /** One trial. `proof`: the fault happened. What is thrown is a violation as well. */
  async trial(name: string, body: () => Promise<{ proof: boolean; violations: readonly string[] }>): Promise<void> {
    this.trials += 1;
    if (this.trials % 25 === 0) {
      console.error(`${this.trials} trials, ${this.fired} fired, ${this.violations.length} violations`);
    }
    const known = this.violations.length;
    try {
      const { proof, violations } = await body();
      if (proof) this.fired += 1;
      this.violations.push(...violations.map((violation) => `${name}: ${violation}`));
    } catch (error) {
      this.violations.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    for (const violation of this.violations.slice(known)) console.error(violation);
  }
  add(figure: string, by = 1): void {
    this.figures[figure] = ((this.figures[figure] as number | undefined) ?? 0) + by;
  }
  /** Keeps the largest. */
  most(figure: string, value: number): void {
    this.figures[figure] = Math.max((this.figures[figure] as number | undefined) ?? value, value);
  }
}

/** The value that a share q of them do not reach; 0 of none. */
export function valueAt(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

/** Rounded: of milliseconds and the like. */
export function quantile(values: readonly number[], q: number): number {
  return Math.round(valueAt(values, q));
}

export function median(values: readonly number[]): number {
  return valueAt(values, 0.5);
}
