import { waitMsMax } from "./limits.ts";

/** Looks again whenever something has happened, until `find` finds something or the time is over. */
export class Waiting {
  readonly #looks = new Set<() => void>();

  changed(): void {
    for (const look of this.#looks) look();
  }

  until<T>(what: () => string, find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timeout);
        this.#looks.delete(look);
        settle();
      };
      const look = (): void => {
        try {
          const found = find();
          if (found !== undefined) end(() => resolve(found));
        } catch (error) {
          end(() => reject(error));
        }
      };
      const timeout = setTimeout(() => end(() => reject(new Error(`${what()} did not come`))), waitMsMax);
      this.#looks.add(look);
      look();
    });
  }
}
