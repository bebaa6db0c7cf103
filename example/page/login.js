// Logs in as real clients do: with the official TypeScript SDK (@modelcontextprotocol/client), its transport and its
// OAuth code, in sdk.js. Here is only what an application adds: how to get to the login page and back, and a `fetch` that
// draws what the SDK sends. What is kept meanwhile is in kept.js.
import { Client, StreamableHTTPClientTransport } from "./sdk.js";
import { Row, em, forgetThePast, headline, news, ui } from "./drawing.js";
import { forget as forgetLogin, keeper, store } from "./kept.js";

export const isLoggedIn = () => document.body.dataset.mode === "login" && store.get("tokens") !== undefined;

/** Forget everything about an earlier log-in, and show nothing of it. */
export function forget() {
  forgetLogin();
  delete document.body.dataset.mode;
}

/** What the SDK asks of an application that logs in (its `OAuthClientProvider`). */
const provider = {
  ...keeper,
  get redirectUrl() {
    return `${location.origin}/callback`;
  },
  get clientMetadata() {
    return {
      client_name: "The example’s page",
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  },
  state() {
    store.set("state", crypto.randomUUID());
    return store.get("state");
  },
  /** Go to the login page. What is drawn so far is kept; the promise never ends, because the page does. */
  async redirectToAuthorization(url) {
    const row = add({ title: "Log in and allow", why: "A navigation: CORS has no part in it." });
    row.detail(`${url.origin}${url.pathname}`);
    store.set("steps", ui.steps.innerHTML);
    location.assign(url);
    await new Promise(() => {});
  },
};

// --- Drawing what the SDK sends ---

function add(step) {
  const row = new Row(step);
  row.state = "running";
  ui.steps.append(row.element);
  return row;
}

const CALLS = {
  "server/discover": ["Connect", "server/discover, of the stateless revision."],
  initialize: ["Connect", "initialize, with the token."],
  "tools/list": ["List the tools", "tools/list"],
};
const OAUTH = [
  [/\/\.well-known\/oauth-protected-resource/, "Find where to log in", "The 401 names this document."],
  [/\/\.well-known\//, "Find the endpoints", "The document names the authorization server, whose metadata is here."],
  [/\/register$/, "Register", "The server has never seen this page: it gets a client id."],
  [/\/revoke$/, "Revoke the token", "No token that came of this log-in is good any more."],
];

/** What a request of the SDK is for. */
function purpose(facts, { url, method, headers, body }) {
  if (url.href === facts.endpoint) {
    if (!headers.has("Authorization")) return ["Ask without a token", "The 401 says how to get one."];
    const { method: call, params } = method === "POST" ? JSON.parse(body) : {};
    if (call === "tools/call") return [`Call ${params.name}`, "tools/call"];
    return CALLS[call] ?? [call ?? `${method} the endpoint`, ""];
  }
  const form = new URLSearchParams(body);
  if (form.get("grant_type") === "refresh_token") return ["Refresh the token", "Without the user."];
  if (form.get("grant_type")) return ["Get the token", "For the code, with the PKCE verifier."];
  return OAUTH.find(([path]) => path.test(url.pathname))?.slice(1) ?? [`${method} ${url.pathname}`, ""];
}

/** The JSON of a response; of an event stream, that of its last event. */
async function contentOf(response) {
  const text = await response.text();
  const data = [...text.matchAll(/^data: ?(\{.*)$/gm)].at(-1)?.[1] ?? text;
  try {
    return JSON.parse(data);
  } catch {
    return {};
  }
}

/** What JavaScript got, in a few words. */
async function words(response) {
  const challenge = response.headers.get("WWW-Authenticate");
  if (challenge) return [`${response.status} and its WWW-Authenticate`, challenge];
  const content = await contentOf(response);
  if (typeof content.error === "string") return [`${content.error}: ${content.error_description}`];
  if (content.error) return [content.error.message];
  if (content.authorization_servers) return [`log in at ${content.authorization_servers.join(", ")}`];
  if (content.authorization_endpoint) return ["where to register, to log in, and to get a token"];
  if (content.access_token) return [`a token for “${content.scope}”, good for ${content.expires_in} s`];
  if (content.client_id) return ["a client id"];
  if (content.result?.tools) return [content.result.tools.map((tool) => tool.name).join(", ")];
  if (content.result?.content) return [content.result.content[0].text];
  return [`${response.status}`];
}

/** A `fetch` for the SDK that draws each exchange. */
const drawingFetch = (facts) => async (input, init = {}) => {
  const asked = { url: new URL(input), method: init.method ?? "GET", headers: new Headers(init.headers), body: init.body };
  const [title, why] = purpose(facts, asked);
  const row = add({ title, why });
  const outcome = await fetch(input, init).then(
    (response) => ({ response }),
    (error) => ({ error }),
  );
  const entries = await news(
    ({ origin, url, preflight, method }) =>
      origin === location.origin && url === `${asked.url.origin}${asked.url.pathname}` && (preflight || method === asked.method),
  );
  row.servers(entries, asked.headers.has("Authorization") || asked.headers.has("MCP-Protocol-Version") || /json/.test(asked.headers.get("Content-Type")));
  if (outcome.error) {
    row.result("bad", `${outcome.error.name}: ${outcome.error.message}${entries.length ? "" : "\nno server saw a request"}`);
    row.state = "blocked";
    throw outcome.error;
  }
  const [text, detail] = await words(outcome.response.clone());
  row.result(outcome.response.ok || outcome.response.status === 401 || outcome.response.status === 403 ? "good" : "bad", text);
  row.detail(detail);
  row.state = "allowed";
  return outcome.response;
};

// --- What the buttons do ---

/** A new transport of the SDK, with the tokens that are kept. */
function makeTransport(facts) {
  const options = { authProvider: provider, fetch: drawingFetch(facts) };
  return new StreamableHTTPClientTransport(new URL(facts.endpoint), options);
}

async function connect(facts) {
  const client = new Client({ name: "example-page", version: "1" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(makeTransport(facts));
  return client;
}

const SUM = { name: "calculateSum", arguments: { a: 19, b: 23 } };
const NOTE = { name: "addNote", arguments: { text: "written in a browser" } };

/** Connect with what is kept, or go to the login page first, and call a tool: the note, if that is what it is about. */
async function useTools(facts) {
  const client = await connect(facts);
  if (!store.get("tools")) store.set("tools", (await client.listTools()).tools.length);
  await client.callTool(store.get("wantsNote") ? NOTE : SUM);
  store.set("wantsNote", false);
  await client.close();
  headline("good", em("Logged in and connected"), `, with a token for “${store.get("tokens").scope}”.`);
}

/** "Log in": from the first 401 to the login page. */
export async function start(facts) {
  forget();
  document.body.dataset.mode = "login";
  await forgetThePast();
  ui.steps.replaceChildren();
  ui.tally.textContent = "";
  headline("none", "Logging in …");
  try {
    await useTools(facts);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const words = facts.allowed ? ["This page ", em("could not reach"), " the server."] : [];
    headline("bad", ...(facts.allowed ? words : ["This page’s origin is ", em("not allowed"), ": it cannot log in."]));
  }
}

/** Back from the login page, with a code or an error in the URL. */
export async function comeBack(facts) {
  const answer = new URLSearchParams(location.search);
  history.replaceState(null, "", "/");
  document.body.dataset.mode = "login";
  ui.steps.innerHTML = store.get("steps") ?? "";
  if (!answer.has("state") || answer.get("state") !== store.get("state")) {
    headline("bad", em("This page has not asked for this."), " The state in the answer is not the one that it sent.");
    return;
  }
  store.delete("state");
  headline("none", "Logging in …");
  const row = Object.create(Row.prototype, { element: { value: ui.steps.lastElementChild } });
  const entries = await news((entry) => entry.kind === "request" && entry.path.endsWith("/authorize"));
  row.servers(entries, false);
  const isGiven = answer.has("code");
  row.result(isGiven ? "good" : "bad", isGiven ? "a code, in the URL of this page" : answer.get("error"));
  row.state = isGiven ? "allowed" : "blocked";
  if (answer.get("error") === "access_denied") {
    store.set("wantsNote", false);
    headline("bad", em("You have denied it."), " Nothing was given to this page.");
    return;
  }
  await makeTransport(facts).finishAuth(answer);
  await useTools(facts);
}

/** A tool that needs one more scope: 403, the user is asked again, and then it goes through (step-up). */
export async function writeNote(facts) {
  store.set("wantsNote", true);
  headline("none", "Writing a note …");
  await useTools(facts);
}

/** The server ends the token's lifetime; the SDK meets a 401 and refreshes the token by itself. */
export async function expire(facts) {
  await fetch("/expire", { method: "POST" });
  headline("none", "The token has expired …");
  await useTools(facts);
}

/** Revoke the token (RFC 7009), and show that the server does not take it any more. */
export async function logOut(facts) {
  const { access_token: token } = store.get("tokens");
  const { revocation_endpoint: revocation } = store.get("discovery").authorizationServerMetadata;
  const send = drawingFetch(facts);
  const body = new URLSearchParams({ token, client_id: store.get("client").client_id });
  await send(revocation, { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body });
  await send(facts.endpoint, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
  });
  forget();
  headline("none", "Logged out: the old token is worth nothing any more.");
}
