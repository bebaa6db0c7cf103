// A small MCP client written by hand, to be watched: each step below is one thing that a browser client does, and the
// page draws what became of it. Real clients use an SDK; what they send to the network is the same.

const SESSIONS = "2025-11-25"; // the last revision with sessions: a client connects, and says goodbye with DELETE
const STATELESS = "2026-07-28"; // each request stands alone and repeats in headers what its body says

// --- The client ---

export class Client {
  constructor(endpoint, token) {
    this.endpoint = endpoint;
    this.token = token;
    this.session = null;
    this.metadata = null;
    this.lastId = 0;
    this.refused = false;
  }

  /** One POST. Only what is said here is sent; fetch rejects where the browser blocks. */
  post(message, headers = {}) {
    return fetch(this.endpoint, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
  }

  get credentials() {
    return { Authorization: `Bearer ${this.token}` };
  }

  get sessionHeaders() {
    const session = this.session ? { "Mcp-Session-Id": this.session } : {};
    return { ...this.credentials, "MCP-Protocol-Version": SESSIONS, ...session };
  }

  /** One POST with the token. It is not sent once more after the server has refused the token. */
  async authorized(message, headers) {
    if (this.refused) throw new NotTried("not tried: the server has refused the token");
    const response = await this.post(message, headers);
    this.refused = response.status === 401;
    if (this.refused) throw new Error("401: the server does not know this token");
    return response;
  }

  /** A request within the session. */
  async request(method, params = {}, onProgress = null) {
    const id = ++this.lastId;
    const _meta = onProgress ? { progressToken: id } : undefined;
    const response = await this.authorized({ id, method, params: { ...params, _meta } }, this.sessionHeaders);
    return { response, answer: await answerTo(response, id, onProgress) };
  }

  /** A request of the stateless revision. */
  async statelessRequest(method, params, headers) {
    const id = ++this.lastId;
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": STATELESS,
      "io.modelcontextprotocol/clientInfo": { name: "example-page", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const response = await this.authorized(
      { id, method, params: { ...params, _meta } },
      { ...this.credentials, "MCP-Protocol-Version": STATELESS, "Mcp-Method": method, ...headers },
    );
    return { response, answer: await answerTo(response, id) };
  }
}

/** The result of request `id`, out of a JSON body or an event stream; progress goes to `onProgress` on its way. */
async function answerTo(response, id, onProgress) {
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  for await (const message of isStream ? events(response) : [await response.json()]) {
    if (message.method === "notifications/progress") onProgress?.(message.params);
    if (message.error) throw new Error(message.error.message);
    if (message.id === id) return message.result;
  }
  throw new Error("the stream ended without an answer");
}

/** The messages of an event stream. */
async function* events(response) {
  // A reader, and not `for await`: WebKit's streams are no async iterables.
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
      if (data.length) yield JSON.parse(data.join("\n"));
    }
  }
}

const clientInfo = { name: "example-page", version: "1" };
const hello = { protocolVersion: SESSIONS, capabilities: {}, clientInfo };

// --- The steps. Each returns what JavaScript got; one whose fetch rejects was blocked. ---

export const STEPS = [
  {
    title: "Ask without a token",
    why: "The 401 has to be readable, or no client can find out how to log in.",
    async run(client) {
      const response = await client.post({ id: ++client.lastId, method: "initialize", params: hello });
      const challenge = response.headers.get("WWW-Authenticate");
      client.metadata = challenge?.match(/resource_metadata="([^"]+)"/)?.[1];
      if (!client.metadata) throw new Error("no resource_metadata to be read in WWW-Authenticate");
      return { got: `${response.status} and its WWW-Authenticate`, detail: challenge };
    },
  },
  {
    title: "Find where to log in",
    why: "OAuth discovery: the 401 names a document, the document names the authorization server.",
    async run(client) {
      if (!client.metadata) throw new NotTried("not tried: the 401 that names the document could not be read");
      const response = await fetch(client.metadata, { headers: { "MCP-Protocol-Version": SESSIONS } });
      const { authorization_servers: servers } = await response.json();
      return { got: `log in at ${servers.join(", ")}`, detail: client.metadata };
    },
  },
  {
    title: "Connect",
    why: "initialize, with the token.",
    async run(client) {
      const { response, answer } = await client.request("initialize", hello);
      client.session = response.headers.get("Mcp-Session-Id");
      await client.post({ method: "notifications/initialized" }, client.sessionHeaders);
      return { got: answer.serverInfo.name, detail: `Mcp-Session-Id: ${client.session}` };
    },
  },
  {
    title: "List the tools",
    why: "tools/list",
    async run(client) {
      const { answer } = await client.request("tools/list");
      return { got: answer.tools.map((tool) => tool.name).join(", ") };
    },
  },
  {
    title: "Call a tool",
    why: "calculateSum: what is 19 + 23?",
    async run(client) {
      const params = { name: "calculateSum", arguments: { a: 19, b: 23 } };
      const { answer } = await client.request("tools/call", params);
      return { got: answer.content[0].text };
    },
  },
  {
    title: "Follow a stream",
    why: "countdown reports its progress while it runs.",
    async run(client, show) {
      const bar = Object.assign(document.createElement("progress"), { value: 0 });
      let reports = 0;
      const { answer } = await client.request(
        "tools/call",
        { name: "countdown", arguments: { n: 4 } },
        ({ progress, total, message }) => {
          reports += 1;
          bar.max = total;
          bar.value = progress;
          show(bar, message);
        },
      );
      show(bar, `${answer.content[0].text} (${reports} reports)`);
      return {};
    },
  },
  {
    title: "Speak the stateless revision",
    why: `${STATELESS}: Mcp-Method, Mcp-Name and, for lookupRegion, Mcp-Param-Region.`,
    async run(client) {
      const { answer } = await client.statelessRequest(
        "tools/call",
        { name: "lookupRegion", arguments: { region: "north", query: "weather" } },
        { "Mcp-Name": "lookupRegion", "Mcp-Param-Region": "north" },
      );
      return { got: answer.content[0].text };
    },
  },
  {
    title: "Try without a preflight",
    needsPreflight: false,
    why: "A text/plain POST needs none, from any page. Only the server can stop it.",
    async run(client) {
      const response = await fetch(client.endpoint, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: JSON.stringify({ jsonrpc: "2.0", id: ++client.lastId, method: "tools/list" }),
      });
      return { got: `${response.status}: it needs the token, as any request does` };
    },
  },
  {
    title: "Say goodbye",
    why: "DELETE closes the session.",
    async run(client) {
      if (client.refused) throw new NotTried("not tried: there is no session");
      const response = await fetch(client.endpoint, { method: "DELETE", headers: client.sessionHeaders });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return { got: `${response.status}, session closed` };
    },
  },
];

/** A step that cannot begin, because an earlier one was blocked. */
export class NotTried extends Error {}
