// One workflow, its workers in several languages, one queue: the server gives each run to a worker that has room.
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "../../clients/typescript/src/index.ts";
import type { OtherWorker } from "./other-workers.ts";
import type { parcel } from "./workflow.ts";

/** A first build takes longer than anybody wants to watch. */
const patienceMs = 10_000;

type Weighed = Awaited<ReturnType<(typeof parcel)["run"]>>;

/** Shows the sharing if any other worker is ready in time; false when a language that was ready got nothing. */
export async function shareTheQueue(
  client: Client,
  coming: Promise<OtherWorker | undefined>[],
): Promise<{ shown: boolean; shared: boolean; late: number }> {
  const tooLate = pause(patienceMs, "late" as const, { ref: false });
  const others = await Promise.all(coming.map((other) => Promise.race([other, tooLate])));
  const late = others.filter((other) => other === "late").length;
  const names = others.flatMap((other) => (other === "late" || other === undefined ? [] : [other.language]));
  if (names.length === 0) return { shown: false, shared: true, late };
  const languages = ["TypeScript", ...names];
  const parcels = Array.from({ length: 4 * languages.length }, (_, index) => ({ number: index + 1 }));
  console.log(`\n${parcels.length} parcels in one queue, its workers in ${languages.join(", ")}:`);
  const runs = await Promise.all(parcels.map((input) => client.start<typeof input, Weighed>("parcel", { input })));
  const weighed = await Promise.all(runs.map((run) => run.result()));
  const counts = languages.map((language) => weighed.filter((each) => each.language === language).length);
  for (const [at, language] of languages.entries()) console.log(`  ${language.padEnd(12)}weighed ${counts[at]}`);
  return { shown: true, shared: counts.every((count) => count > 0), late };
}
