import { type Fail, toError } from "./typescript-errors.ts";

export interface Finish {
  readonly result?: unknown;
  readonly fail?: Fail;
}

/** Step functions that wait for the command `finish`. */
export class Holds {
  readonly #open = new Map<string, { finish: (how: Finish) => void; end: (error: unknown) => void }>();

  /** The newest hold of a step is the one that `finish` lets go. */
  wait(run: string, key: string, otherwise: unknown, signal: AbortSignal, aborted: () => boolean): Promise<unknown> {
    const name = JSON.stringify([run, key]);
    return new Promise((resolve, reject) => {
      const hold = {
        finish: ({ result, fail }: Finish) =>
          fail === undefined ? resolve(result === undefined ? otherwise : result) : reject(toError(fail)),
        end: reject,
      };
      this.#open.set(name, hold);
      const abort = (): void => {
        if (!aborted()) return;
        if (this.#open.get(name) === hold) this.#open.delete(name);
        reject(signal.reason);
      };
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
  }

  finish(run: string, key: string, how: Finish): boolean {
    const name = JSON.stringify([run, key]);
    const hold = this.#open.get(name);
    this.#open.delete(name);
    hold?.finish(how);
    return hold !== undefined;
  }
}
