import { afterAll, beforeAll, describe, test } from "vitest";
import { cases } from "./cases.ts";
import { type Peer, peerKinds } from "./peers.ts";
import { useServer } from "./world.ts";

// One list of cases, three clients, one real server process: what a client can do does not depend on which one it is.

const server = useServer();

for (const [kindNo, kind] of peerKinds.entries()) {
  describe(kind.name, () => {
    let peer: Peer;
    beforeAll(() => {
      peer = kind.open(server.url);
    });
    afterAll(() => peer?.close());
    for (const [caseNo, { name, bidi, run }] of cases.entries()) {
      if (bidi === true && !kind.bidi) continue;
      test.concurrent(name, () => run(peer, `client-${kindNo}-case-${caseNo}`));
    }
  });
}
