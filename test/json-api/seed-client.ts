// A client of the seed's interface that knows nothing of ours: paths, JSON, statuses.

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
    return { status: response.status, body: await response.json() };
  }
  get = (path: string) => this.call("GET", path);
  post = (path: string, body: unknown = {}) => this.call("POST", path, body);

  create = (workflow_id: string, workflow_type = "order") => this.post("/workflows", { workflow_id, workflow_type });
  workflow = async (id: string) => (await this.get(`/workflows/${encodeURIComponent(id)}`)).body;
  acquire = (worker_id: string, more: object = {}) => this.post("/leases/acquire", { worker_id, ...more });
}
