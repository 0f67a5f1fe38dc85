import { type ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { unauthenticated } from "./errors.ts";

/** Aborts when the API key of the call is revoked; undefined when the server asks for no key. */
export const keySignalKey = createContextKey<AbortSignal | undefined>(undefined, { description: "key signal" });

/** Cuts a stream's caller off later (cut-later.ts). Only behind Connect. */
export const cutLaterKey = createContextKey<() => void>(() => {}, { description: "cut later" });

/** What a service may take of the context of its call: all that is there for those that Connect does not serve. */
export type CallContext = Pick<HandlerContext, "signal" | "values">;

/** Aborts when the caller is gone, its deadline has passed, or its key is revoked. */
export function callSignal(context: CallContext): AbortSignal {
  const key = context.values.get(keySignalKey);
  return key === undefined ? context.signal : AbortSignal.any([context.signal, key]);
}

/** The error of a call whose key was revoked while it went on; undefined when it was not. */
export function revokedError(context: CallContext): ConnectError | undefined {
  return context.values.get(keySignalKey)?.aborted === true ? unauthenticated("the API key was revoked") : undefined;
}

/** The answer, or, when the key was revoked meanwhile, that: whatever was made of the aborted wait. */
export async function orRevoked<T>(context: CallContext, answer: Promise<T>): Promise<T> {
  const settled = await answer.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );
  const revoked = revokedError(context);
  if (revoked !== undefined) throw revoked;
  return settled();
}
