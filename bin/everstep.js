#!/usr/bin/env node
// The published command. Says in one line what it needs on a Node that is too old for its libraries.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  console.error(`everstep needs Node 24 or newer; this is ${process.versions.node}`);
  process.exit(2);
}
await import("../dist/src/main.js");
