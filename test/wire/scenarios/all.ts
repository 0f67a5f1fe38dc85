import type { Scenario } from "../scenario.ts";
import { control } from "./control.ts";
import { frames } from "./frames.ts";
import { keys } from "./keys.ts";
import { ops } from "./ops.ts";
import { pause } from "./pause.ts";
import { refusals } from "./refusals.ts";
import { resume } from "./resume.ts";
import { whole } from "./whole.ts";

export const scenarios: readonly Scenario[] = [
  ...frames,
  ...ops,
  ...refusals,
  ...resume,
  ...control,
  ...pause,
  ...keys,
  ...whole,
];
