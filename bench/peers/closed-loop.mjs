// Keeps `inFlight` runs going, one after the other in each lane, and prints some times a second how many have ended and
// how long the newest thousand took.

const keptLatencies = 1_000;

export function runClosedLoop(inFlight, runOne, enginePid = process.pid) {
  let finished = 0;
  const latencies = [];
  for (let lane = 0; lane < inFlight; lane++) {
    (async () => {
      const place = { lane };
      for (;;) {
        const startedAtMs = performance.now();
        await runOne(place);
        latencies[finished % keptLatencies] = performance.now() - startedAtMs;
        finished += 1;
      }
    })().catch((error) => {
      console.error(error);
      process.exit(1);
    });
  }
  // Whoever reads has gone: nobody would end this program.
  process.stdout.on("error", () => process.exit(1));
  setInterval(() => {
    const sorted = latencies.toSorted((a, b) => a - b);
    const at = (q) => Number((sorted[Math.floor(q * sorted.length)] ?? 0).toPrecision(3));
    console.log(JSON.stringify({ finished, p50Ms: at(0.5), p99Ms: at(0.99), enginePid }));
  }, 50);
}

export const steps = ["a", "b", "c", "d", "e"];
export const result = "twenty bytes of step";
