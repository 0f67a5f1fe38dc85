interface KeyRelease {
  release(base: string): void;
}

/** The promise of one durable call. Settling it frees its step key for the next use. */
export class Settlement<T = unknown> {
  readonly promise: Promise<T>;
  readonly #keys: KeyRelease;
  readonly #base: string;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;

  constructor(keys: KeyRelease, base: string) {
    this.#keys = keys;
    this.#base = base;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.#keys.release(this.#base);
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#keys.release(this.#base);
    // A branch that nobody awaits yet must not end the process; whoever awaits it later still gets the error.
    this.promise.catch(ignore);
    this.#reject(error);
  }
}

const ignore = (): void => {};
