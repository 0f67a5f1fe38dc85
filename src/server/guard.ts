import { isIP } from "node:net";

// Protection of a server without keys against the web pages that its user visits. A page can send requests to
// localhost, and by DNS rebinding (its own name resolves to 127.0.0.1) even read the answers. Pages cannot forge the
// Host and Origin headers, so these tell.

export interface Guard {
  /** Why the request must not be served; undefined when it may. */
  refusal(host: string | undefined, origin: string | undefined): string | undefined;
  /** True when pages of this origin may read answers (CORS). */
  allows(origin: string): boolean;
}

export interface GuardOptions {
  /** The address that the server listens on. */
  readonly listenHost: string;
  /** True when every call has to show a key: then a page that has none can do no harm. */
  readonly keyRequired: () => boolean;
  readonly allowedOrigins: readonly string[];
}

export function createGuard(options: GuardOptions): Guard {
  const allowed = new Set(options.allowedOrigins.map(normalOrigin));
  const loopbackOnly = isLoopback(options.listenHost);

  function refusal(host: string | undefined, origin: string | undefined): string | undefined {
    const name = host === undefined ? undefined : hostName(host);
    if (host === undefined || name === undefined) return "the Host header is missing or malformed";
    if (loopbackOnly && !isLoopback(name)) return "this server answers to localhost, 127.0.0.1 and [::1] only";
    if (origin === undefined || allowed.has(origin.toLowerCase())) return undefined;
    if (!sameHost(origin, host)) return "this Origin is not allowed";
    // The page's own name may be one that was made to resolve to this server.
    if (!options.keyRequired() && !isLoopback(name) && isIP(name) === 0) return "this Origin is not allowed";
    return undefined;
  }

  return { refusal, allows: (origin) => allowed.has(origin.toLowerCase()) };
}

export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

/** The name of a Host header without its port and brackets; undefined when it is none. */
function hostName(host: string): string | undefined {
  const parts = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host);
  return (parts?.[1] ?? parts?.[2])?.toLowerCase();
}

function sameHost(origin: string, host: string): boolean {
  const parts = /^https?:\/\/(.+)$/.exec(origin.toLowerCase());
  return parts?.[1] === host.toLowerCase();
}

function normalOrigin(origin: string): string {
  if (!URL.canParse(origin) || new URL(origin).origin === "null") {
    throw new Error(`allowed origin ${JSON.stringify(origin)} is not of the form https://host:port`);
  }
  return new URL(origin).origin;
}
