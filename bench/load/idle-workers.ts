import { setTimeout as pause } from "node:timers/promises";
import { openStream } from "./stream.ts";

// So many connected workers that get nothing to do, each with a connection of its own, in a process of their own.

const [url = "", count = "0", perSecond = "250"] = process.argv.slice(2);
let welcomed = 0;
for (let number = 0; number < Number(count); number++) {
  const stream = openStream(url, {
    capacity: 10,
    identity: `idle-${number}`,
    held: () => [],
    onFrame(frame) {
      if (frame.case === "welcome" && ++welcomed === Number(count)) process.send?.("connected");
    },
  });
  stream.ended.catch((error) => {
    console.error(error);
    process.exit(1);
  });
  await pause(1_000 / Number(perSecond));
}
