// The wire driver of the TypeScript SDK; its protocol is test/wire/README.md.
import { createInterface } from "node:readline";
import { Client, Worker } from "../../../clients/typescript/src/index.ts";
import { type Command, commands } from "./typescript-commands.ts";
import { errorOf } from "./typescript-errors.ts";
import { Holds } from "./typescript-holds.ts";
import { programOf } from "./typescript-program.ts";

const say = (fact: object): void => void process.stdout.write(`${JSON.stringify(fact)}\n`);
const chatty = process.env.WIRE_FACTS !== "off";
const holds = new Holds();
const worker = new Worker({
  workflows: [
    programOf(holds, (fact) => (chatty || fact.fact === "aborted" || fact.fact === "caught" ? say(fact) : {})),
  ],
  capacity: Number(process.env.WIRE_CAPACITY ?? 10),
  queues: (process.env.WIRE_QUEUES ?? "default").split(","),
});
const client = new Client();

let draining = false;
function drain(): void {
  if (draining) return;
  draining = true;
  void worker.drain(Number(process.env.WIRE_DRAIN_MS ?? 10_000)).then(() => {
    say({ fact: "drained" });
    process.exit(0);
  });
}

process.on("SIGTERM", drain);
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const command = JSON.parse(line) as Command;
  commands(command, { worker, client, holds, drain }).then(
    (value) => say({ fact: "answer", id: command.id, value: value ?? null }),
    (error) => say({ fact: "answer", id: command.id, error: errorOf(error) }),
  );
});
input.on("close", () => {
  if (draining) return;
  worker.close();
  process.exit(0);
});
worker.start();
say({ fact: "ready", language: "typescript", pid: process.pid });
