/**
 * How to type what is proposed, so that the shell finds it: as this process itself was called. npm says so in the
 * environment of what it starts; what it started has its own folder of commands on the path, which the user's shell has not.
 * buf is a dependency of the checkout and of no package.
 */
export function commandsAsCalled(env: NodeJS.ProcessEnv): { readonly everstep: string; readonly buf: string } {
  // Of what it does, npm 10 says "run-script" and npm 11 "run"; the name of the script is the same.
  if (env.npm_lifecycle_event === "everstep") return { everstep: "npm run -s everstep --", buf: "npx buf" };
  if (env.npm_command === "exec") return { everstep: "npx everstep", buf: "buf" };
  return { everstep: "everstep", buf: "buf" };
}
