import { backlogFile, recoveryFile, timersFile } from "./load/kept-files.ts";

// node bench/build-files.ts: the large files of backlog and recovery, made before they are asked for.

for (const build of [() => backlogFile(100_000), () => backlogFile(1_000_000), recoveryFile, timersFile]) {
  const startedAtMs = performance.now();
  console.log(await build(), `${Math.round((performance.now() - startedAtMs) / 1_000)} s`);
}
process.exit(0);
