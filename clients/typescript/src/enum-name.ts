/** The name of an enum value, or its number when this version does not know it. */
export function enumName(values: Readonly<Record<string, number>>, value: number): string {
  for (const name in values) if (values[name] === value) return name;
  return String(value);
}
