import type { Parameters, Result } from "./result.ts";
import { acquire } from "./scenarios/acquire.ts";
import { backlog } from "./scenarios/backlog.ts";
import { core } from "./scenarios/core.ts";
import { fileSize } from "./scenarios/file-size.ts";
import { idleWorkers } from "./scenarios/idle-workers.ts";
import { jsonApi } from "./scenarios/json-api.ts";
import { micro } from "./scenarios/micro.ts";
import { peer } from "./scenarios/peer.ts";
import { raw } from "./scenarios/raw.ts";
import { recovery } from "./scenarios/recovery.ts";
import { run5 } from "./scenarios/run5.ts";
import { signal } from "./scenarios/signal.ts";
import { slowDisk } from "./scenarios/slow-disk.ts";
import { start } from "./scenarios/start.ts";
import { step } from "./scenarios/step.ts";
import { unary } from "./scenarios/unary.ts";

export type Scenario = (parameters: Parameters) => Promise<Result[]>;

/** Every scenario by its name. A new one is a file and a line here, and a line in suite.ts if the suite has it. */
export const scenarios = {
  raw,
  core,
  start,
  acquire,
  step,
  run5,
  unary,
  "json-api": jsonApi,
  signal,
  backlog,
  recovery,
  "slow-disk": slowDisk,
  "idle-workers": idleWorkers,
  "file-size": fileSize,
  micro,
  peer,
} satisfies Record<string, Scenario>;
