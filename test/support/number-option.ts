/** A number of the command line; anything else ends the process with one line that names the option, and exit code 2. */
export function numberOption(
  name: string,
  text: string | undefined,
  fallback: number,
  { min, whole = true }: { readonly min: number; readonly whole?: boolean },
): number {
  if (text === undefined) return fallback;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value >= min && (!whole || Number.isSafeInteger(value))) return value;
  console.error(`--${name}: ${JSON.stringify(text)} is not a ${whole ? "whole number" : "number"} of ${min} or more`);
  process.exit(2);
}
