import { buildFile } from "./build-file.ts";

export function backlogFile(queued: number): Promise<string> {
  return buildFile(`backlog-${queued}.db`, { queued });
}

export function timersFile(): Promise<string> {
  return buildFile("timers-1000000.db", { waiting: 1_000_000 });
}

export const recoveryContent = { closed: 899_000, waiting: 50_000, leased: 1_000, queued: 50_000 };

export function recoveryFile(): Promise<string> {
  return buildFile("recovery-1000000.db", recoveryContent);
}
