import { attacks, launch } from "./http2-attacks.ts";

// An attacker in a process of its own, so that what it costs itself does not slow the client beside it. Comes again with
// a new connection until its time is over. Arguments: address, name of the attack, frames of one connection, milliseconds.
const [url = "", name = "", size = "", ms = ""] = process.argv.slice(2);
const attack = attacks.find((found) => found.name === name);
if (attack === undefined) throw new Error(`there is no attack ${name}`);
const told = { connections: 0, closed: 0, landed: 0 };
const endsAtMs = performance.now() + Number(ms);
do {
  const { closed, landed } = await launch(url, attack, Number(size), attack.mustClose ? 30_000 : 100);
  told.connections += 1;
  if (closed) told.closed += 1;
  if (landed) told.landed += 1;
} while (performance.now() < endsAtMs);
console.log(JSON.stringify(told));
