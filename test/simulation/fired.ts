// How often each kind of request and of fault took hold. It is counted where it has its effect and not where it is
// chosen: a cut without a stream, the death of a dead server or a loss while nobody listens breaks nothing. A kind that
// never takes hold in a long campaign is a part of the simulator that has gone blind without a word.

const kinds = {
  start: "a run is started",
  signal: "a signal is received",
  signalToWait: "a signal is the result of a suspended run's wait in the commit that records it",
  cancel: "a cancel is accepted",
  terminate: "a terminate is accepted",
  pause: "a pause is accepted",
  resume: "a resume is accepted",
  retry: "a retry is accepted",
  get: "a run is looked at",
  watch: "a watcher has seen the end of its run",
  volley: "a shot of a volley is answered before the rest of it",
  otherStart: "another start asks for a name that is taken",
  spy: "somebody asks about a run whose commit is under way",
  lostCall: "a call is lost on its way to a server that lives",
  lostAnswer: "an answer is lost, and its caller waits",
  callerGone: "a caller is gone before it has its answer",
  repeatedCall: "a call arrives a second time",
  staleOps: "ops are sent once more, much later",
  otherResult: "a worker has another result for a step that has one",
  lostLease: "a careless worker writes on under a lost lease",
  deadlyStep: "a step kills its worker",
  crashWorker: "a worker that lives is killed",
  stopWorker: "a worker stands still while something is due",
  drainWorker: "a worker that lives is drained",
  cut: "a stream is cut, and both ends are told",
  cutLate: "a stream is cut, and the server is told late",
  cutDeafWorker: "a stream is cut, and the worker is never told",
  cutDeafServer: "a stream is cut, and the server is never told",
  stallFromWorker: "a frame of the worker waits behind a stall",
  stallFromServer: "a frame of the server waits behind a stall",
  crashServer: "a server that lives is killed",
  stopServer: "a server stands still while something is due",
  drainServer: "a drain ends a life of the server",
  crashKeeps: "a crash leaves a commit in the file that nobody was told of",
  crashLoses: "a crash loses the commit that is under way",
  queuedCommit: "a commit is given to the disk while another is under way",
  orphan: "a commit behind one that failed is refused",
  fullDisk: "a commit finds no room",
  slowDisk: "a sync takes long",
  constraint: "a commit breaks a constraint",
  failedSync: "a sync fails",
  jump: "the wall clock jumps under a server that runs, and must not mind",
  jumpOverRestart: "a life of the server begins at another wall clock than the one before",
} as const;

export type Kind = keyof typeof kinds;
export type Counts = Readonly<Record<Kind, number>>;

/** So many seeds are enough for each kind to take hold many times. */
export const seedsEnough = 2_000;

export class Fired {
  readonly #counts = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0])) as Record<Kind, number>;

  get counts(): Counts {
    return this.#counts;
  }
  hit(kind: Kind): void {
    this.#counts[kind] += 1;
  }
  /** What took hold in another world. */
  add(counts: Counts): void {
    for (const kind of Object.keys(kinds) as Kind[]) this.#counts[kind] += counts[kind];
  }
  /** The kinds that never took hold, once there were seeds enough to say so. */
  never(seeds: number): readonly Kind[] {
    if (seeds < seedsEnough) return [];
    return (Object.keys(kinds) as Kind[]).filter((kind) => this.#counts[kind] === 0);
  }
  table(): string {
    return (Object.entries(kinds) as [Kind, string][])
      .map(([kind, what]) => `${String(this.#counts[kind]).padStart(9)}  ${kind.padEnd(15)}  ${what}`)
      .join("\n");
  }
}
