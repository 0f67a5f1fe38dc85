// A line plot with logarithmic axes as SVG text: enough for throughput and latency, and nothing to install.

export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const width = 720;
const height = 400;
const margin = { left: 70, right: 110, top: 40, bottom: 50 };
const colours = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700"];

export function linePlot(plot: {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly lines: readonly Line[];
}): string {
  const points = plot.lines.flatMap((line) => line.points);
  const x = axis(
    points.map((point) => point.x),
    margin.left,
    width - margin.right,
  );
  const y = axis(
    points.map((point) => point.y),
    height - margin.bottom,
    margin.top,
  );
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${plot.title}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(margin.left, 22, plot.title, 'font-size="14"'),
    text((margin.left + width - margin.right) / 2, height - 12, plot.xLabel, 'text-anchor="middle"'),
    text(16, margin.top - 8, plot.yLabel),
    ...x.ticks.map((tick) => gridLine(x.at(tick), margin.top, x.at(tick), height - margin.bottom)),
    ...x.ticks.map((tick) => text(x.at(tick), height - margin.bottom + 18, label(tick), 'text-anchor="middle"')),
    ...y.ticks.map((tick) => gridLine(margin.left, y.at(tick), width - margin.right, y.at(tick))),
    ...y.ticks.map((tick) => text(margin.left - 8, y.at(tick) + 4, label(tick), 'text-anchor="end"')),
  ];
  for (const [index, line] of plot.lines.entries()) {
    const colour = colours[index % colours.length] as string;
    const path = line.points.map((point) => `${x.at(point.x).toFixed(1)},${y.at(point.y).toFixed(1)}`);
    parts.push(`<polyline points="${path.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const place of path) {
      const [cx, cy] = place.split(",");
      parts.push(`<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`);
    }
    const last = line.points.at(-1);
    if (last !== undefined) parts.push(text(x.at(last.x) + 8, y.at(last.y) + 4, line.name, `fill="${colour}"`));
  }
  return `${parts.join("\n")}\n</svg>\n`;
}

/** From the power of ten below the smallest value to the one above the largest. */
function axis(values: readonly number[], from: number, to: number) {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
  const ticks = Array.from({ length: high - low + 1 }, (_, step) => 10 ** (low + step));
  const at = (value: number) => from + ((to - from) * (Math.log10(Math.max(value, 10 ** low)) - low)) / (high - low);
  return { ticks, at };
}

function label(value: number): string {
  return value.toLocaleString("en-US");
}
function gridLine(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="#ddd"/>`;
}
function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${content}</text>`;
}
