import { once } from "node:events";
import { createServer } from "node:net";

// Below the ports that most systems give to whoever asks for any; some give these away, too.
const portMin = 20_000;
const portMax = 29_999;

/**
 * Where a server can listen that is to come back to the same address later: one of the loopback addresses besides
 * 127.0.0.1, where the system has them (Linux does), so that nobody who asks for any port takes its place meanwhile. A
 * client that waits for its server would otherwise speak to another test's, now and then.
 */
export async function steadyAddress(): Promise<string> {
  let host = `127.${between(1, 254)}.${between(0, 255)}.${between(1, 254)}`;
  for (;;) {
    const port = between(portMin, portMax);
    const probe = createServer().listen(port, host);
    try {
      await once(probe, "listening");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EADDRNOTAVAIL" && host !== "127.0.0.1") host = "127.0.0.1";
      else if (code !== "EADDRINUSE") throw error;
      continue;
    }
    probe.close();
    await once(probe, "close");
    return `${host}:${port}`;
  }
}

function between(min: number, max: number): number {
  return min + Math.floor(Math.random() * (max - min + 1));
}
