// A small MCP client written by hand, to be watched: each step below is one thing that a browser client does, and the
// page draws what became of it. Real clients use an SDK; what they send to the network is the same.

const SESSIONS = "2025-11-25"; // the last revision with sessions: a client connects, and says goodbye with DELETE
const STATELESS = "2026-07-28"; // each request stands alone and repeats in headers what its body says

const facts = await (await fetch("/facts.json")).json();
const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));

// --- The client ---

class Client {
  constructor(endpoint, token) {
    this.endpoint = endpoint;
    this.token = token;
    this.session = null;
    this.metadata = null;
    this.lastId = 0;
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

  /** A request within the session. */
  async request(method, params = {}, onProgress = null) {
    const id = ++this.lastId;
    const _meta = onProgress ? { progressToken: id } : undefined;
    const response = await this.post({ id, method, params: { ...params, _meta } }, this.sessionHeaders);
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
    const response = await this.post(
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
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split(/\r?\n\r?\n/);
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

const STEPS = [
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
      if (!client.metadata) throw new NotTried("the 401 that names the document could not be read");
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
      const response = await fetch(client.endpoint, { method: "DELETE", headers: client.sessionHeaders });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return { got: `${response.status}, session closed` };
    },
  },
];

/** A step that cannot begin, because an earlier one was blocked. */
class NotTried extends Error {}

// --- Drawing ---

const diary = async () => (await fetch("/diary.json")).json();

function put(box, verdict, ...content) {
  if (verdict) box.dataset.verdict = verdict;
  box.querySelector(".value").replaceChildren(...content);
}

/** Say in the first two boxes what the server saw of this page during the step. */
function drawServerSide(row, seen, { needsPreflight = true }) {
  const preflight = seen.find((entry) => entry.preflight);
  const request = seen.find((entry) => !entry.preflight);
  const draw = (box, entry) =>
    put(box, entry.reason ? "bad" : "good", `${entry.method} ${entry.status}${entry.reason ? `\n${entry.reason}` : ""}`);

  const [first, second] = [row.querySelector(".preflight"), row.querySelector(".request")];
  if (preflight) draw(first, preflight);
  else if (!request) put(first, null, "—");
  else put(first, null, needsPreflight ? "cached, not sent again" : "none needed");
  if (request) draw(second, request);
  else put(second, preflight ? "bad" : null, preflight ? "never sent" : "—");
}

async function take(step, row, client) {
  row.dataset.state = "running";
  const result = row.querySelector(".result");
  const show = (...content) => put(result, null, ...content);
  const before = (await diary()).length;
  let outcome = {};
  let error = null;
  try {
    outcome = await step.run(client, show);
  } catch (caught) {
    error = caught;
  }
  const seen = (await diary()).slice(before);
  drawServerSide(row, seen.filter((entry) => entry.kind === "request" && entry.origin === location.origin), step);
  if (error) put(result, "bad", error instanceof NotTried ? error.message : `${error.name}: ${error.message}`);
  else put(result, "good", ...(outcome.got ? [outcome.got] : result.querySelector(".value").childNodes));
  row.querySelector(".detail").textContent = outcome.detail ?? "";
  row.dataset.state = error ? "blocked" : "allowed";
  return { passed: !error, messages: seen.filter((entry) => entry.kind === "mcp").length };
}

async function run() {
  ui.run.disabled = true;
  delete document.body.dataset.done;
  const rows = STEPS.map((step) => {
    const row = ui.step.content.cloneNode(true).firstElementChild;
    row.querySelector("h2").textContent = step.title;
    row.querySelector(".why").textContent = step.why;
    return row;
  });
  ui.steps.replaceChildren(...rows);

  const client = new Client(facts.endpoint, ui.token.value);
  const count = { passed: 0, stopped: 0, messages: 0 };
  for (const [index, step] of STEPS.entries()) {
    const { passed, messages } = await take(step, rows[index], client);
    count[passed ? "passed" : "stopped"] += 1;
    count.messages += messages;
    ui.tally.textContent =
      `${count.passed} steps through, ${count.stopped} stopped · ` +
      `${count.messages || "no"} messages reached the MCP server`;
  }
  ui.run.disabled = false;
  document.body.dataset.done = "";
}

document.body.dataset.origin = facts.allowed ? "allowed" : "foreign";
ui.headline.innerHTML = facts.allowed
  ? "This page’s origin is <em>allowed</em>: it is let in."
  : "This page’s origin is <em>not allowed</em>: it is kept out.";
ui.here.textContent = location.origin;
ui.endpoint.textContent = facts.endpoint;
ui.token.value = facts.token;
ui.other.href = facts.allowed ? facts.pages.foreign : facts.pages.allowed;
ui.other.textContent = facts.allowed ? "The same page on a foreign origin" : "The same page on the allowed origin";
ui.run.addEventListener("click", run);
run();
