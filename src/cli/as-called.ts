/**
 * How to type what is proposed, so that the shell finds it: as this process itself was called. npm says so in the
 * environment of what it starts; what it started has its own folder of commands on the path, which the user's shell has not.
 */
export function commandsAsCalled(env: NodeJS.ProcessEnv): { readonly everstep: string; readonly buf: string } {
  if (env.npm_command === "run-script" && env.npm_lifecycle_event === "everstep")
    return { everstep: "npm run -s everstep --", buf: "npx buf" };
  if (env.npm_command === "exec") return { everstep: "npx everstep", buf: "npx buf" };
  return { everstep: "everstep", buf: "buf" };
}
