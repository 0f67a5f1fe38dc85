import { Code, ConnectError } from "@connectrpc/connect";

/** Documented in README; scripts rely on them. */
export const exitCodes = {
  ok: 0,
  runFailed: 1,
  usage: 2,
  notFound: 3,
  unavailable: 4,
  denied: 5,
  conflict: 6,
  timeout: 7,
  interrupted: 130,
} as const;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof ConnectError)) return exitCodes.runFailed;
  switch (error.code) {
    case Code.InvalidArgument:
    case Code.OutOfRange:
      return exitCodes.usage;
    case Code.NotFound:
      return exitCodes.notFound;
    case Code.Unavailable:
    case Code.ResourceExhausted:
      return exitCodes.unavailable;
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return exitCodes.denied;
    case Code.AlreadyExists:
    case Code.FailedPrecondition:
    case Code.Aborted:
      return exitCodes.conflict;
    case Code.DeadlineExceeded:
      return exitCodes.timeout;
    default:
      return exitCodes.runFailed;
  }
}

/** Ends the program with a code that commander did not choose. */
export class ExitError extends Error {
  readonly code: number;
  constructor(code: number, message = "") {
    super(message);
    this.code = code;
  }
}
