import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Summary } from "./suite.ts";
import { type Line, linePlot } from "./line-plot.ts";

/** The plots that a suite's results allow, as SVG files. */
export function plotSuite(summary: Summary, folder: string): void {
  const curves = summary.results.flatMap(({ entry, median }) => {
    const [kind, name, inFlight] = entry.split(" ");
    return kind === "curve" ? [{ name: name as string, x: Number(inFlight), ...median }] : [];
  });
  if (curves.length > 0) {
    const lines = (value: (point: (typeof curves)[number]) => number): Line[] =>
      [...Map.groupBy(curves, ({ name }) => name)].map(([name, points]) => ({
        name,
        points: points.map((point) => ({ x: point.x, y: value(point) })),
      }));
    save("throughput", {
      title: "Steps (step) and five-step runs (run5) per second against requests in flight",
      yLabel: "per second",
      lines: lines((point) => point.opsPerSecond),
    });
    save("latency", {
      title: "Median latency against requests in flight: of a step, of a whole five-step run",
      yLabel: "milliseconds",
      lines: lines((point) => point.p50Ms),
    });
  }
  const levels = summary.results.filter(({ median }) => median.scenario === "backlog" && median.timers === 0);
  if (levels.length > 1) {
    const points = levels.map(({ median }) => ({
      x: median.queued as number,
      y: Number((1e6 / median.opsPerSecond).toFixed(1)),
    }));
    save("backlog", {
      title: "Cost of one grant, with its start and end, against runs queued",
      xLabel: "runs queued",
      yLabel: "microseconds",
      lines: [{ name: "grant", points }],
    });
  }

  function save(name: string, plot: { title: string; xLabel?: string; yLabel: string; lines: Line[] }): void {
    const svg = linePlot({ xLabel: "in flight", ...plot });
    writeFileSync(join(folder, `${summary.date}-${summary.suite}-${name}.svg`), svg);
  }
}
