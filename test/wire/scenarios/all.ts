import type { Scenario } from "../scenario.ts";
import { frames } from "./frames.ts";
import { ops } from "./ops.ts";

export const scenarios: readonly Scenario[] = [...frames, ...ops];
