import { backups } from "./backup-row.ts";
import { damageRows } from "./damage-rows.ts";
import { diskRows } from "./disk-rows.ts";
import { fileRows } from "./file-rows.ts";
import { hostileRows } from "./hostile-rows.ts";
import { imageRows } from "./image-rows.ts";
import { killServer } from "./kill-server.ts";
import { replyRows } from "./reply-rows.ts";
import type { Row } from "./row.ts";
import { sdkReplyRows } from "./sdk-reply-rows.ts";
import { serverRows } from "./server-rows.ts";
import { cutRows } from "./cut-rows.ts";
import { weatherRows } from "./weather-rows.ts";
import { workerRows } from "./worker-rows.ts";

/** Every row of the table of faults that a command can run. */
export const rows: readonly Row[] = [
  killServer,
  ...diskRows,
  ...imageRows,
  ...fileRows,
  backups,
  ...damageRows,
  ...workerRows,
  ...cutRows,
  ...weatherRows,
  ...replyRows,
  ...sdkReplyRows,
  ...serverRows,
  ...hostileRows,
];
