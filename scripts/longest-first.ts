import { relative, sep } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// Without a record of earlier runs vitest begins with the largest files, and the longest of ours are small: one that
// starts last keeps one core idle for all of its time. These come first, the longest one before the others.

const longest = [
  "test/wire/wire.test.ts",
  "test/simulation/simulation.test.ts",
  "test/crash/gate.test.ts",
  "test/packages/packages.test.ts",
  "test/fleet/fleet.test.ts",
  "test/main-job/main-job.test.ts",
  "test/crash/kill-server.test.ts",
  "test/soak/reconnects.test.ts",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification) => {
      const at = longest.indexOf(relative(this.ctx.config.root, moduleId).split(sep).join("/"));
      return at < 0 ? longest.length : at;
    };
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
