// One workflow, its workers in several languages, one queue: the server gives each run to a worker that has room.
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "../../clients/typescript/src/index.ts";
import type { OtherWorker, Outcome } from "./other-workers.ts";
import type { parcel } from "./workflow.ts";

/** A first build takes longer than anybody wants to watch. */
const patienceMs = 10_000;
/** With --once nothing goes on behind the end, so a first build would never come to its own: it gets this time more. */
const patienceWithOnceMs = 120_000;

type Weighed = Awaited<ReturnType<(typeof parcel)["run"]>>;
type Arrival = Outcome | { readonly is: "late" };

export interface Sharing {
  readonly checks: readonly { readonly what: string; readonly ok: boolean }[];
  /** Who is here and did not take part, and whose fault it is not: a language, and the reason. */
  readonly without: readonly { readonly language: string; readonly why: string }[];
}

/** Shows the sharing if any other worker is ready in time; each that is here shares, is told to be missing, or failed. */
export async function shareTheQueue(client: Client, others: OtherWorker[], once: boolean): Promise<Sharing> {
  let arrivals = await arrivalsWithin(patienceMs, others);
  const late = others.filter((_, at) => arrivals[at]?.is === "late").map(({ language }) => language);
  if (once && late.length > 0) {
    console.log(`\nThe worker in ${late.join(", ")} is still being built: the first time takes a minute or two.`);
    arrivals = await arrivalsWithin(patienceWithOnceMs, others);
  }
  const checks: { what: string; ok: boolean }[] = [];
  const without: { language: string; why: string }[] = [];
  const ready: string[] = [];
  for (const [at, { language }] of others.entries()) {
    const arrival = arrivals[at] as Arrival;
    if (arrival.is === "ready") ready.push(language);
    if (arrival.is === "unbuilt") without.push({ language, why: `its worker cannot be built here: ${arrival.why}` });
    if (arrival.is === "late") without.push({ language, why: once ? givenUp : stillBuilt });
    if (arrival.is === "broken") checks.push({ what: `the worker in ${language} came: ${arrival.why}`, ok: false });
  }
  if (ready.length > 0) {
    const languages = ["TypeScript", ...ready];
    const ok = await shareAmong(client, languages);
    const all = checks.length === 0 && without.length === 0;
    const who = all ? "workers of every language that is here" : `workers in ${languages.join(", ")}`;
    checks.push({ what: `${who} shared the queue`, ok });
  }
  return { checks, without };
}

const givenUp = `its worker was not ready within ${patienceWithOnceMs / 1_000} s`;
const stillBuilt = "its worker is still being built; when that has ended, the next start shows it, too";

async function arrivalsWithin(ms: number, others: OtherWorker[]): Promise<Arrival[]> {
  const tooLate = pause(ms, { is: "late" } as const, { ref: false });
  return await Promise.all(others.map(({ outcome }) => Promise.race([outcome, tooLate])));
}

/** False when a language that was ready got nothing. */
async function shareAmong(client: Client, languages: readonly string[]): Promise<boolean> {
  const parcels = Array.from({ length: 4 * languages.length }, (_, index) => ({ number: index + 1 }));
  console.log(`\n${parcels.length} parcels in one queue, its workers in ${languages.join(", ")}:`);
  const runs = await Promise.all(parcels.map((input) => client.start<typeof input, Weighed>("parcel", { input })));
  const weighed = await Promise.all(runs.map((run) => run.result()));
  const counts = languages.map((language) => weighed.filter((each) => each.language === language).length);
  for (const [at, language] of languages.entries()) console.log(`  ${language.padEnd(12)}weighed ${counts[at]}`);
  return counts.every((count) => count > 0);
}
