#!/usr/bin/env node
// The published command. Says in one line what it needs on a Node that is too old for its libraries.
import { nodeComplaint } from "../dist/src/node-version.js";

const complaint = nodeComplaint(process.versions.node);
if (complaint !== undefined) {
  console.error(complaint);
  process.exit(2);
}
await import("../dist/everstep/everstep.js");
