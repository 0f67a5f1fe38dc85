// What a scenario may say. Scenarios are data: an SDK in any language is tested by the same file.
import type { Command } from "./drivers/typescript-commands.ts";
import type { ProgramInput } from "./drivers/typescript-program.ts";

/**
 * JSON of which only what is named is compared: objects by their fields, arrays whole, null is what is left out or null,
 * `"*"` is anything. In frames, beats and the `like` of ops `"=name"` is anything at first and the same later; what is
 * sent may name what was met before.
 */
export type Like = unknown;

/** A command of the driver protocol; the runner gives it an id. */
export type Tell = Omit<Command, "id" | "input"> & { readonly input?: ProgramInput | Record<string, unknown> };

export interface DriverOptions {
  readonly capacity?: number;
  readonly queues?: string;
  readonly drainMs?: number;
  /** Off: no `begin`, `step` and `end` facts. */
  readonly facts?: "off";
}

/** Whose driver: "a" is the first one, "b" is another process, in another language when the scenario has two. */
export type Who = "a" | "b";

/** What a scripted server answers to an op. */
export type Answer = "applied" | "nothing" | { readonly applied: object } | { readonly refused: object };

export type Action =
  /** Waits for a fact that no earlier action has taken. */
  | { readonly fact: Like; readonly who?: Who }
  /** Nothing like this was said so far. */
  | { readonly noFact: Like; readonly who?: Who }
  /** Nothing like this was said so far but what an action has taken. */
  | { readonly noUntakenFact: Like; readonly who?: Who }
  /** A command. Its answer is awaited and compared, unless `later` names it for `answered`. */
  | { readonly tell: Tell; readonly value?: Like; readonly error?: Like; readonly later?: string; readonly who?: Who }
  | { readonly answered: string; readonly value?: Like; readonly error?: Like }
  /** Repeats a command until its answer is like this. */
  | { readonly tellUntil: Tell; readonly value: Like; readonly who?: Who }
  | { readonly signal: NodeJS.Signals; readonly who?: Who }
  | { readonly exits: number; readonly who?: Who }
  | { readonly start: Who; readonly options?: DriverOptions };

export type ScriptedAction =
  | Action
  /** The next frame that is no beat, pong or ops. */
  | { readonly frame: string; readonly like?: Like }
  /** The next op of lease 1 (or `lease`), without starts that the worker may leave out. */
  | { readonly op: readonly Like[]; readonly like?: Like; readonly lease?: number; readonly answer?: Answer }
  /** The answer to the oldest op on this stream that got "nothing". */
  | { readonly reply: Answer }
  /** Waits for a beat, behind those that earlier actions have taken. */
  | { readonly beat: Like }
  | { readonly send: object }
  /** A frame of a kind that this version does not know. */
  | { readonly sendUnknown: true }
  /** Ping and Pong: whatever was sent before has been read. */
  | { readonly sync: true }
  /** No frame of this kind (or change of this kind) has come that no action has taken. */
  | { readonly noFrame: string }
  | { readonly cut: true }
  /** The server ends the stream in order; with `code`, with that status. */
  | { readonly endStream: true; readonly code?: string }
  /**
   * The worker has opened a stream that no earlier action has taken; frames are those of it from now on. `withinMs`: so
   * soon after the last one had ended, and what it takes to connect on a busy machine.
   */
  | { readonly stream: true; readonly withinMs?: number }
  /** So much time passes, for a worker that stands still. */
  | { readonly passMs: number }
  /** No stream was opened for so long after the last one had ended or, if the server did not end it, had been taken. */
  | { readonly noStreamForMs: number }
  /** So much time has passed since the server ended a stream for the first time. */
  | { readonly notBeforeMs: number }
  /** From now on nothing is answered on its own account: no beat, no start. */
  | { readonly silent: boolean };

export type RealAction =
  | Action
  | { readonly server: "SIGKILL" | "SIGTERM" | "restart" }
  /** A call of RunService, or of LeaseService: the runner as a worker without a stream. As JSON, with names as in frames. */
  | { readonly call: string; readonly request: object; readonly like?: Like; readonly reason?: string }
  /** Waits until the history of a run has an event like this; with `times`, it then has exactly so many. */
  | { readonly event: Like; readonly run: string; readonly times?: number }
  | { readonly noEvent: Like; readonly run: string }
  /** Waits until a run has this status. */
  | { readonly status: string; readonly run: string };

interface Named {
  readonly name: string;
  /** One sentence: what an SDK must do. */
  readonly proves: string;
  readonly options?: DriverOptions;
  /** Languages that do not keep this, and why. */
  readonly without?: Readonly<Record<string, string>>;
}

/** The runner plays the server, frame by frame. */
export interface ScriptedScenario extends Named {
  readonly server: "scripted";
  readonly settings?: Record<string, unknown>;
  readonly actions: readonly ScriptedAction[];
}

/** A real server on a real file: in this process, or one of its own that can be killed. */
export interface RealScenario extends Named {
  readonly server: "embedded" | "process";
  readonly leaseTtlMs?: number;
  readonly payloadMax?: number;
  /** The worker's connections are cut, once, when a frame of it that holds something like this has passed. */
  readonly cutAfter?: Like;
  /** Run for every pair of languages; driver "b" is in the second one. */
  readonly pairs?: boolean;
  readonly actions: readonly RealAction[];
}

export type Scenario = ScriptedScenario | RealScenario;
