import { expect, test } from "vitest";
import { commandsAsCalled } from "../../src/cli/as-called.ts";

test("what is proposed is typed as the command itself was", () => {
  expect(commandsAsCalled({}).everstep).toBe("everstep");
  expect(commandsAsCalled({ npm_command: "exec" })).toEqual({ everstep: "npx everstep", buf: "npx buf" });
  // Another script of a project, whose name says nothing.
  expect(commandsAsCalled({ npm_command: "run-script", npm_lifecycle_event: "serve" }).everstep).toBe("everstep");
});
