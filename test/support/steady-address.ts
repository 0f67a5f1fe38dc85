import { once } from "node:events";
import { createServer } from "node:net";

// Below the ports that systems give to whoever asks for any: while a server is away, none of those may take its place.
const portMin = 20_000;
const portMax = 29_999;

/** Where a server can listen that is to come back to the same address later. */
export async function steadyAddress(): Promise<string> {
  for (;;) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin + 1));
    const probe = createServer().listen(port, "127.0.0.1");
    try {
      await once(probe, "listening");
    } catch {
      continue; // taken
    }
    probe.close();
    await once(probe, "close");
    return `127.0.0.1:${port}`;
  }
}
