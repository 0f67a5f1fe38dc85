#!/usr/bin/env node
// The published command. Says in one line what it needs on a Node that is too old for its libraries, and in a checkout
// where nothing has been built.
import { existsSync } from "node:fs";

const program = new URL("../dist/everstep/everstep.js", import.meta.url);
if (!existsSync(program)) {
  console.error("everstep is not built here: npm run build, or npm run everstep -- COMMAND from the sources");
  process.exit(2);
}
const { nodeComplaint } = await import("../dist/src/node-version.js");
const complaint = nodeComplaint(process.versions.node);
if (complaint !== undefined) {
  console.error(complaint);
  process.exit(2);
}
await import(program.href);
