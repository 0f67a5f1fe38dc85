/** The two abort signals of a run, made when somebody asks for them: most steps never do. */
export class RunAborts {
  #cancelled: unknown;
  #lost: unknown;
  #cancel: AbortController | undefined;
  #lease: AbortController | undefined;

  /** Fires on cancel and on loss of the lease. */
  get cancelSignal(): AbortSignal {
    this.#cancel ??= controller(this.#lost ?? this.#cancelled);
    return this.#cancel.signal;
  }

  /** Fires on loss of the lease only. */
  get leaseSignal(): AbortSignal {
    this.#lease ??= controller(this.#lost);
    return this.#lease.signal;
  }

  cancel(reason: Error): void {
    this.#cancelled = reason;
    this.#cancel?.abort(reason);
  }

  lose(reason: Error): void {
    this.#lost ??= reason;
    this.#cancel?.abort(reason);
    this.#lease?.abort(reason);
  }
}

function controller(reason: unknown): AbortController {
  const made = new AbortController();
  if (reason !== undefined) made.abort(reason);
  return made;
}
