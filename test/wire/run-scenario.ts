// Carries one scenario out against one driver, or two.
import { Calls } from "./calls.ts";
import { DriverProcess, type Fact } from "./driver-process.ts";
import type { Driver } from "./languages.ts";
import { isLike } from "./like.ts";
import { askAgainMs, waitMsMax } from "./limits.ts";
import { Names } from "./names.ts";
import { RealServer } from "./real-server.ts";
import type {
  Action,
  Answer,
  DriverOptions,
  Like,
  RealAction,
  RealScenario,
  Scenario,
  ScriptedAction,
  Who,
} from "./scenario.ts";
import { type Came, ScriptedServer } from "./scripted-server.ts";
import { Transcript } from "./transcript.ts";

/** `drivers`: the one for "a", and the one for "b" if the scenario has one; default: the same. */
export async function runScenario(scenario: Scenario, drivers: readonly [Driver, Driver?]): Promise<void> {
  const transcript = new Transcript();
  const context = new Context(scenario, drivers, transcript);
  let at = -1;
  try {
    await context.open();
    for (const action of scenario.actions) {
      at += 1;
      await context.act(action);
    }
    context.finish();
  } catch (error) {
    const action = JSON.stringify(scenario.actions[at] ?? "the start");
    const names = drivers.map((driver) => driver?.language).join(" and ");
    const text = error instanceof Error ? error.message : String(error);
    const why = `scenario ${scenario.name}, ${names}, action ${at + 1} ${action}:\n${text}\n--\n${transcript.last()}`;
    throw new Error(why, { cause: error });
  } finally {
    await context.close();
  }
}

class Context {
  readonly #scenario: Scenario;
  readonly #drivers: readonly [Driver, Driver?];
  readonly #transcript: Transcript;
  readonly #processes = new Map<Who, DriverProcess>();
  readonly #later = new Map<string, Promise<Fact>>();
  readonly #names = new Names();
  #unanswered: Came[] = [];
  #scripted: ScriptedServer | undefined;
  #real: RealServer | undefined;
  #calls: Calls | undefined;

  constructor(scenario: Scenario, drivers: readonly [Driver, Driver?], transcript: Transcript) {
    this.#scenario = scenario;
    this.#drivers = drivers;
    this.#transcript = transcript;
  }

  async open(): Promise<void> {
    if (this.#scenario.server === "scripted") this.#scripted = await ScriptedServer.start(this.#transcript);
    else {
      this.#real = await RealServer.start(this.#scenario as RealScenario);
      this.#calls = new Calls(this.#real.url);
    }
    await this.#start("a", this.#scenario.options);
  }

  async #start(who: Who, options: DriverOptions = {}): Promise<void> {
    const driver = (who === "b" ? this.#drivers[1] : undefined) ?? this.#drivers[0];
    const address = this.#scripted?.url ?? this.#real?.address ?? "";
    await this.#processes.get(who)?.end();
    const started = new DriverProcess(driver, who, address, options, this.#transcript);
    this.#processes.set(who, started);
    await started.fact({ fact: "ready", language: driver.language === "" ? "*" : driver.language });
  }

  finish(): void {
    this.#scripted?.finish();
  }

  async close(): Promise<void> {
    for (const answer of this.#later.values()) answer.catch(() => {}); // nobody asks for it any more
    await Promise.all([...this.#processes.values()].map((one) => one.end()));
    this.#calls?.close();
    this.#scripted?.close();
    await this.#real?.close();
  }

  #driver(who: Who | undefined): DriverProcess {
    const found = this.#processes.get(who ?? "a");
    if (found === undefined) throw new Error(`driver ${who} was not started`);
    return found;
  }

  async act(action: Action | ScriptedAction | RealAction): Promise<void> {
    if ("fact" in action) await this.#driver(action.who).fact(action.fact);
    else if ("noFact" in action) this.#noFact(action.noFact, action.who);
    else if ("noUntakenFact" in action) this.#driver(action.who).noUntaken(action.noUntakenFact);
    else if ("tell" in action) await this.#tell(action);
    else if ("answered" in action) this.#compare(await this.#taken(action.answered), action);
    else if ("tellUntil" in action) await this.#tellUntil(action);
    else if ("signal" in action) await this.#driver(action.who).signal(action.signal);
    else if ("exits" in action) this.#same(await this.#driver(action.who).exits(), action.exits);
    else if ("start" in action) await this.#start(action.start, action.options);
    else if (this.#scripted !== undefined) await this.#scriptedAct(action as ScriptedAction, this.#scripted);
    else await this.#realAct(action as RealAction);
  }

  #noFact(like: Like, who: Who | undefined): void {
    const found = this.#driver(who).facts.find((fact) => isLike(fact, like));
    if (found !== undefined) throw new Error(`unexpected: ${JSON.stringify(found)}`);
  }

  async #tell(action: Extract<Action, { tell: unknown }>): Promise<void> {
    // The fact `step` is said before the function is held: asked too early, `finish` is asked again.
    if (action.tell.cmd === "finish" && action.value === true) {
      return this.#tellUntil({ tellUntil: action.tell, value: true, ...(action.who && { who: action.who }) });
    }
    const answer = this.#driver(action.who).tell(action.tell);
    if (action.later === undefined) this.#compare(await answer, action);
    else this.#later.set(action.later, answer);
  }

  #taken(name: string): Promise<Fact> {
    const answer = this.#later.get(name);
    if (answer === undefined) throw new Error(`no command was named ${name}`);
    return answer;
  }

  #compare(answer: Fact, { value, error }: { readonly value?: Like; readonly error?: Like }): void {
    if (
      error !== undefined
        ? isLike(answer.error, error)
        : !("error" in answer) && isLike(answer.value, value ?? answer.value)
    )
      return;
    throw new Error(`expected ${JSON.stringify({ value, error })}, got ${JSON.stringify(answer)}`);
  }

  /** States such as `health` are asked for again until they are so. */
  async #tellUntil({ tellUntil, value, who }: Extract<Action, { tellUntil: unknown }>): Promise<void> {
    const endAtMs = performance.now() + waitMsMax;
    for (;;) {
      const answer = await this.#driver(who).tell(tellUntil);
      if (isLike(answer.value, value)) return;
      if (performance.now() > endAtMs)
        throw new Error(`expected ${JSON.stringify(value)}, got ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, askAgainMs));
    }
  }

  #same(got: unknown, wanted: unknown): void {
    if (got !== wanted) throw new Error(`expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`);
  }

  async #scriptedAct(action: ScriptedAction, server: ScriptedServer): Promise<void> {
    if ("stream" in action) {
      this.#unanswered = []; // sent again
      await server.stream(action.withinMs);
    } else if ("passMs" in action) await new Promise((resolve) => setTimeout(resolve, action.passMs));
    else if ("notBeforeMs" in action) server.notBefore(action.notBeforeMs);
    else if ("noStreamForMs" in action) await server.noStreamFor(action.noStreamForMs);
    else if ("frame" in action) await server.frame(action.frame, this.#names.fill(action.like));
    else if ("op" in action) {
      const came = await server.op(`run-${action.lease ?? 1}`, action.op, this.#names.fill(action.like));
      this.#names.learn(action.like, came.json);
      if (action.answer === "nothing") this.#unanswered.push(came);
      server.answer(came, action.answer ?? "applied");
    } else if ("reply" in action) this.#reply(server, action.reply);
    else if ("beat" in action) {
      const came = await server.beat(this.#names.fill(action.beat));
      this.#names.learn(action.beat, came.json);
    } else if ("send" in action) server.send(this.#names.fill(action.send) as object);
    else if ("sendUnknown" in action) server.sendUnknown();
    else if ("sync" in action) await server.sync();
    else if ("noFrame" in action) server.noFrame(action.noFrame);
    else if ("cut" in action) server.cut();
    else if ("endStream" in action) server.endStream(action.code);
    else if ("silent" in action) server.answering = !action.silent;
  }

  #reply(server: ScriptedServer, answer: Answer): void {
    const came = this.#unanswered.shift();
    if (came === undefined) throw new Error("every op has its answer");
    server.answer(came, answer);
  }

  async #realAct(action: RealAction): Promise<void> {
    const calls = this.#calls as Calls;
    if ("server" in action) await this.#serverAct(action.server);
    else if ("call" in action) await this.#call(action);
    else if ("event" in action) await calls.event(action.run, action.event, action.times);
    else if ("noEvent" in action) {
      const found = (await calls.history(action.run)).find((event) => isLike(event, action.noEvent));
      if (found !== undefined) throw new Error(`unexpected: ${JSON.stringify(found)}`);
    } else if ("status" in action) await calls.status(action.run, action.status);
  }

  async #serverAct(what: "SIGKILL" | "SIGTERM" | "restart"): Promise<void> {
    this.#transcript.add("server", what);
    if (what === "restart") await this.#real?.restart();
    else await this.#real?.signal(what);
  }

  async #call({ call, request, like, reason }: Extract<RealAction, { call: string }>): Promise<void> {
    const got = await (this.#calls as Calls).call(call, this.#names.fill(request) as object);
    this.#transcript.add("runner", `${call} ${JSON.stringify(got)}`);
    if (reason !== undefined) return this.#same(got.reason, reason);
    if (got.reason !== undefined) throw new Error(`${call} was refused: ${got.reason}`);
    if (like === undefined) return;
    if (!isLike(got.value, this.#names.fill(like))) {
      throw new Error(`expected ${JSON.stringify(like)}, got ${JSON.stringify(got.value)}`);
    }
    this.#names.learn(like, got.value);
  }
}
