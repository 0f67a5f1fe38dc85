import { Agent, request } from "node:http";

/** A client of the JSON API with connections that are kept: what a careful HTTP client does, and nothing more. */
export function createJsonClient(url: string, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port } = new URL(url);

  function post<T>(path: string, body: object): Promise<T> {
    const text = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const call = request({ agent, hostname, port, path, method: "POST", headers }, (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          answer += chunk;
        });
        response.on("end", () => {
          if (response.statusCode === 200) resolve(JSON.parse(answer) as T);
          else reject(new Error(`${path} answered ${response.statusCode}: ${answer}`));
        });
      });
      call.on("error", reject);
      call.end(text);
    });
  }

  return { post, close: () => agent.destroy() };
}
export type JsonClient = ReturnType<typeof createJsonClient>;
