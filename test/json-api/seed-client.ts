import { deviation } from "./described.ts";

// A client of the seed's interface that knows nothing of ours: paths, JSON, statuses. Each answer is held against the
// description that the server gives of itself.

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about.
  readonly body: any;
}

export class SeedClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, apiKey?: string) {
    this.#url = url;
    this.#headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  }
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { ...this.#headers, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const { status } = response;
    const answer: unknown = await response.json();
    const different = deviation({ method, path, request: requestOf(body), status, answer });
    if (different !== undefined) throw new Error(different);
    return { status, body: answer };
  }
  get = (path: string) => this.call("GET", path);
  post = (path: string, body: unknown = {}) => this.call("POST", path, body);

  create = (workflow_id: string, workflow_type = "order") => this.post("/workflows", { workflow_id, workflow_type });
  workflow = async (id: string) => (await this.get(`/workflows/${encodeURIComponent(id)}`)).body;
  acquire = (worker_id: string, more: object = {}) => this.post("/leases/acquire", { worker_id, ...more });
}

function requestOf(body: unknown): unknown {
  return typeof body === "string" ? safely(body) : body;
}

function safely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
