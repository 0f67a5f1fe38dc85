const units = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "m", ms: 60_000 },
  { unit: "s", ms: 1_000 },
] as const;

/** As flags are written, the two largest units: "850ms", "12.3s", "4m5s", "1h59m", "3d4h". What is left over is cut. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.floor(ms)}ms`;
  if (ms < 60_000) return `${Math.floor(ms / 100) / 10}s`;
  const [larger, smaller] = units.slice(units.findIndex((unit) => ms >= unit.ms)) as [Unit, Unit];
  const rest = Math.floor((ms % larger.ms) / smaller.ms);
  return `${Math.floor(ms / larger.ms)}${larger.unit}${rest === 0 ? "" : `${rest}${smaller.unit}`}`;
}
type Unit = (typeof units)[number];
