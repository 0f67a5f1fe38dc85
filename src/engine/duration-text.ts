const unitsMs = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "m", ms: 60_000 },
] as const;

/** As flags are written, the two largest units: "850ms", "12.3s", "4m5s", "1h59m", "3d4h". What is left over is cut. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.floor(ms)}ms`;
  const largest = unitsMs.findIndex((unit) => ms >= unit.ms);
  const { unit, ms: unitMs } = unitsMs[largest] ?? { unit: "s", ms: 1_000 };
  if (unit === "s") return `${Math.floor(ms / 100) / 10}s`;
  const next = unitsMs[largest + 1] ?? { unit: "s", ms: 1_000 };
  const rest = Math.floor((ms % unitMs) / next.ms);
  return `${Math.floor(ms / unitMs)}${unit}${rest === 0 ? "" : `${rest}${next.unit}`}`;
}
