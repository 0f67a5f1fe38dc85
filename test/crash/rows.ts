import { killServer } from "./kill-server.ts";
import { diskRows } from "./disk-rows.ts";
import { imageRows } from "./image-rows.ts";
import type { Row } from "./row.ts";

/** Every row of the table of faults that a command can run. */
export const rows: readonly Row[] = [killServer, ...diskRows, ...imageRows];
