// The table in clients/README.md: what is proved, by which scenario, for which language.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { languages, root } from "./languages.ts";
import type { Scenario } from "./scenario.ts";

const readme = join(root, "clients", "README.md");
const part = /(<!-- table -->\n)[\s\S]*?(<!-- \/table -->)/;
const titles = { typescript: "TypeScript", go: "Go", python: "Python" } as const;

/** One line for each scenario; `cell` says what stands in a language's column. */
export function tableOf(
  scenarios: readonly Scenario[],
  cell: (scenario: Scenario, language: string) => string,
): string {
  const head = `| an SDK ... | scenario | ${languages.map((language) => titles[language]).join(" | ")} |\n|---|---|---|---|---|\n`;
  const lines = scenarios.map((scenario) => {
    const cells = languages.map((language) => {
      const why = scenario.without?.[language];
      return why === undefined ? cell(scenario, language) : `no: ${why}`;
    });
    return `| ${scenario.proves} | \`${scenario.name}\` | ${cells.join(" | ")} |\n`;
  });
  return head + lines.join("");
}

export function readTable(): string {
  return part.exec(readFileSync(readme, "utf8"))?.[0].split("\n").slice(1, -1).join("\n").concat("\n") ?? "";
}

export function writeTable(table: string): void {
  writeFileSync(
    readme,
    readFileSync(readme, "utf8").replace(part, (_, open, close) => `${open}${table}${close}`),
  );
}
