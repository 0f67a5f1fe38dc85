import { AmbiguousStepKeyError, InvalidArgumentError } from "../errors.ts";
import { keyLengthMax } from "../limits.ts";

interface Use {
  count: number;
  pending: boolean;
}

/**
 * Gives every use of a step key its own name: "charge", "charge#2", "charge#3" by call order. Call order is only sure
 * inside one branch, so a use that begins while another use of the same key is pending is refused by name.
 */
export class StepKeys {
  readonly #uses = new Map<string, Use>();

  /** Returns the key of this use of a checked key. `release(base)` must follow when it has its result. */
  claim(base: string): string {
    const use = this.#uses.get(base);
    if (use === undefined) {
      this.#uses.set(base, { count: 1, pending: true });
      return base;
    }
    if (use.pending) throw new AmbiguousStepKeyError(base);
    use.pending = true;
    use.count += 1;
    return `${base}#${use.count}`;
  }

  /** Every key that was given, in call order of the first uses. */
  list(): string[] {
    const keys: string[] = [];
    for (const [base, { count }] of this.#uses) {
      keys.push(base);
      for (let use = 2; use <= count; use += 1) keys.push(`${base}#${use}`);
    }
    return keys;
  }

  release(base: string): void {
    const use = this.#uses.get(base);
    if (use !== undefined) use.pending = false;
  }
}

/** Refuses what cannot be a step key. */
export function checkKey(what: string, key: unknown): asserts key is string {
  if (typeof key !== "string" || key === "") throw new InvalidArgumentError(`a ${what} is a text that is not empty`);
  if (key.length > keyLengthMax) throw new InvalidArgumentError(`a ${what} has at most ${keyLengthMax} characters`);
  if (hasCounter(key))
    throw new InvalidArgumentError(
      `${what} ${JSON.stringify(key)} ends in "#" and digits, which the SDK keeps for repeated keys`,
    );
}

/** Whether a key ends in "#" and digits. By hand: this runs for every step. */
function hasCounter(key: string): boolean {
  let at = key.length - 1;
  while (at >= 0 && key.charCodeAt(at) >= 48 && key.charCodeAt(at) <= 57) at -= 1;
  return at >= 0 && at < key.length - 1 && key.charCodeAt(at) === 35;
}
