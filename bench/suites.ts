// What each suite runs. A repeated entry runs once in every round, so that the things which are compared alternate;
// the others run once. Names are those of the results and of the table.

export interface Entry {
  readonly name: string;
  /** Arguments of `bench`. */
  readonly args: readonly string[];
  readonly repeated: boolean;
}

export interface Ratio {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  readonly goal: number;
}

export interface Suite {
  readonly entries: readonly Entry[];
  /** Medians divided. */
  readonly ratios: readonly Ratio[];
}

function entry(name: string, args: string, repeated = false): Entry {
  return { name, args: args.split(" "), repeated };
}
/** In the first seconds V8's compiler takes a fifth of the server's processor time; they are not counted. */
const short = "--seconds 3 --warm-up 4";
const curve = [1, 4, 16, 64, 256, 1_024];

const standard: Suite = {
  entries: [
    entry("raw like core", `raw --like core ${short}`, true),
    entry("core", `core ${short}`, true),
    entry("step, 256 in flight", `step ${short}`, true),
    // The most that the server does at once is the last that its compiler is done with.
    entry("step, 1,024 in flight", "step --in-flight 1024 --seconds 5 --warm-up 6", true),
    entry("raw like start", `raw --like start --in-flight 1024 ${short}`, true),
    entry("start", `start --in-flight 1024 ${short}`, true),
    entry("raw like acquire", `raw --like acquire ${short}`, true),
    entry("acquire", `acquire ${short}`, true),
    entry("run5", `run5 ${short}`, true),
    entry("signal", "signal --in-flight 128 --seconds 5 --warm-up 4", true),
    entry("unary", `unary --seconds 2 --warm-up 1`),
    entry("slow-disk", "slow-disk --in-flight 1024 --seconds 6 --warm-up 6"),
    entry("backlog", `backlog --runs-max 100000 ${short}`),
    entry("idle-workers", "idle-workers"),
    entry("file-size", "file-size"),
    entry("micro", "micro"),
    ...curve.map((n) => entry(`curve step ${n}`, `step --in-flight ${n} --seconds 2 --warm-up 1`)),
    ...curve.map((n) => entry(`curve run5 ${n}`, `run5 --in-flight ${n} --seconds 2 --warm-up 1`)),
  ],
  ratios: [
    { name: "core to raw", of: "core", to: "raw like core", goal: 0.6 },
    { name: "step (256) to core", of: "step, 256 in flight", to: "core", goal: 0.5 },
    { name: "start to raw", of: "start", to: "raw like start", goal: 0.5 },
    { name: "acquire to raw", of: "acquire", to: "raw like acquire", goal: 0 },
  ],
};

/** Needs files of a million runs, built at the first run and kept. */
const large: Suite = {
  entries: [entry("backlog", `backlog ${short}`, true), entry("recovery", "recovery", true)],
  ratios: [],
};

/** Long enough for engines whose runs take seconds at this load, and for every compiler to be done. */
const long = "--seconds 6 --warm-up 8";

/** As far up as the peer still gains. */
function peerEntries(peer: string, loads: readonly number[]): Entry[] {
  return loads.map((n) => entry(`${peer} ${n}`, `peer --peer ${peer} --in-flight ${n} ${long}`, true));
}

const peers: Suite = {
  entries: [
    ...[16, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192].map((n) =>
      entry(`everstep ${n}`, `run5 --in-flight ${n} ${long}`, true),
    ),
    ...peerEntries("restate", [16, 64, 128, 256, 512, 1_024, 2_048]),
    ...["openworkflow", "dbos", "dbos-python", "temporal", "seed-api"].flatMap((peer) =>
      peerEntries(peer, [16, 64, 128]),
    ),
    entry("json-api", `json-api ${long}`),
  ],
  ratios: [],
};

export const suites: Record<string, Suite> = { standard, large, peers };
