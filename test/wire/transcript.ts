import { transcriptLines } from "./limits.ts";

const lineLengthMax = 600;

/** What happened in a scenario, for people who read why it failed. */
export class Transcript {
  readonly #startedAtMs = performance.now();
  readonly #lines: string[] = [];

  add(what: string, text: string): void {
    const atMs = Math.round(performance.now() - this.#startedAtMs);
    this.#lines.push(`${String(atMs).padStart(6)} ${what}: ${text.slice(0, lineLengthMax)}`);
  }

  last(): string {
    return this.#lines.slice(-transcriptLines).join("\n");
  }
}
