import { Worker } from "../../clients/typescript/src/index.ts";
import { order, parcel } from "./workflow.ts";

// A worker process: connects, gets leases pushed, works until SIGTERM.
const address = process.argv[2] ?? "http://127.0.0.1:7420";
await new Worker({ address, workflows: [order, parcel], identity: `worker-${process.pid}` }).run();
