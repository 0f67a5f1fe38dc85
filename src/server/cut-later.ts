import { constants } from "node:http2";
import { requestReadMsMax } from "../limits.ts";
import { hasGone, type Response } from "./http-reply.ts";

/**
 * For a stream whose worker hangs up behind the last message. What it gives is called when all was said, and again with
 * each piece that is taken of it: a worker that takes nothing for a while would keep what it was to be told, and its
 * connection, for as long as it lives. It is cut off.
 */
export function createCutLater(response: Response): () => void {
  let timer: NodeJS.Timeout | undefined;
  const cut = () => ("stream" in response ? response.stream.close(constants.NGHTTP2_CANCEL) : response.destroy());
  return () => {
    // Who has gone says so once, and has.
    if (hasGone(response)) return;
    if (timer !== undefined) return void timer.refresh();
    timer = setTimeout(cut, requestReadMsMax);
    response.once("close", () => clearTimeout(timer));
  };
}
