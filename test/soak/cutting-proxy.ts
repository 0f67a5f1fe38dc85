import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const frameHeaderBytes = 9;
const dataFrame = 0;

/**
 * Stands between a worker and the server, and cuts each connection some milliseconds after the server has said its first
 * word on it, which is Welcome.
 */
export class CuttingProxy {
  cuts = 0;
  cutting = true;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((near) => this.#carry(near));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(near: Socket): void {
    const far = connect(Number(this.#target.port), this.#target.hostname);
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    near.pipe(far);
    far.pipe(near);
    const greeted = onFirstData(() => {
      if (!this.cutting) return;
      setTimeout(() => {
        this.cuts += 1;
        end();
      }, Math.random() * 20);
    });
    far.on("data", greeted);
  }
}

/** Reads the frames of HTTP/2 and calls back at the first one of type DATA. */
function onFirstData(found: () => void): (bytes: Buffer) => void {
  let header = Buffer.alloc(0);
  let skip = 0;
  let done = false;
  return (bytes) => {
    let at = 0;
    while (!done && at < bytes.length) {
      const skipped = Math.min(skip, bytes.length - at);
      skip -= skipped;
      at += skipped;
      if (skip > 0 || at === bytes.length) return;
      const part = bytes.subarray(at, at + frameHeaderBytes - header.length);
      header = Buffer.concat([header, part]);
      at += part.length;
      if (header.length < frameHeaderBytes) return;
      if (header[3] === dataFrame) {
        done = true;
        found();
      }
      skip = header.readUIntBE(0, 3);
      header = Buffer.alloc(0);
    }
  };
}
