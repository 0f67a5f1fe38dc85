import { createInterface } from "node:readline";
import { logComplaint } from "../../src/store/sqlite/damaged-log.ts";

// Reads the paths of database files, one a line, and says of each whether a server would refuse its log.
for await (const path of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify({ complaint: logComplaint(path) ?? "" }));
}
