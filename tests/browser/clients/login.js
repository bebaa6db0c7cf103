// Logs in with either generation of the official client, through its own OAuth code. The flow leaves the page for the
// login page, so it comes in stages.
import { keeper, store } from "../../../example/page/kept.js";

/** What the client asks of an application (its `OAuthClientProvider`). It says where to go instead of going there. */
const provider = {
  ...keeper,
  redirectUrl: `${location.origin}/facts.json`,
  clientMetadata: {
    client_name: "A test",
    redirect_uris: [`${location.origin}/facts.json`],
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
  },
  state: () => "the-state",
  redirectToAuthorization: (url) => store.set("authorization", String(url)),
};

/** A `fetch` that keeps what the client got: [method, path, status or error], and says which step it was. */
function recorder(exchanges) {
  return async (url, init = {}) => {
    const { pathname } = new URL(url);
    const entry = [init.method ?? "GET", pathname];
    exchanges.push(entry);
    try {
      const response = await fetch(url, init);
      entry.push(response.status);
      return response;
    } catch (error) {
      entry.push(error.name);
      throw error;
    }
  };
}

/**
 * Make the stages out of one generation of the client.
 *
 * @param connect (endpoint, options) → {client, transport, call}: a new client that connects with these options
 * @param finish (transport, answer) → the code in the answer is exchanged for tokens
 * @param dpop makes a session that binds the tokens; only for clients that can
 */
export function stages({ make, finish, dpop }) {
  const prepared = async ({ endpoint, bind }, exchanges) => {
    const session = bind && dpop ? await dpop() : undefined;
    const authProvider = session ? { ...provider, dpop: () => session } : provider;
    return make(endpoint, { authProvider, fetch: recorder(exchanges) });
  };
  /** Do something with a connected client; instead of a result there may be a login page to go to. */
  const connected = async (options, work) => {
    const exchanges = [];
    store.delete("authorization");
    const { client, transport, call } = await prepared(options, exchanges);
    let result = null;
    let error = null;
    try {
      await client.connect(transport);
      result = await work({ client, call });
      await transport.terminateSession?.();
      await client.close();
    } catch (caught) {
      error = String(caught);
    }
    return { exchanges, result, error, authorization: store.get("authorization") ?? null };
  };
  return {
    /** Connect, list, call a tool. */
    use: (options) =>
      connected(options, async ({ client, call }) => {
        const { tools } = await client.listTools();
        const { content } = await call({ name: "calculateSum", arguments: { a: 19, b: 23 } });
        return { tools: tools.map((tool) => tool.name), sum: content[0].text };
      }),
    /** Call the tool that needs one more scope. */
    async note(options) {
      const attempt = () =>
        connected(options, async ({ call }) => (await call({ name: "addNote", arguments: { text: "hello" } })).content[0].text);
      const first = await attempt();
      if (first.authorization || !first.error) return first;
      // 1.x answers the 403 with a refresh, which brings no new scope. An application has to drop the refresh token.
      store.set("tokens", { ...store.get("tokens"), refresh_token: undefined });
      return attempt();
    },
    /** Back from the login page, with its answer. */
    async finish(options, answer) {
      const exchanges = [];
      const { transport } = await prepared(options, exchanges);
      const error = await finish(transport, new URLSearchParams(answer)).then(() => null, String);
      return { exchanges, error, scope: store.get("tokens")?.scope ?? null, type: store.get("tokens")?.token_type ?? null };
    },
    /** Revoke the token. */
    async revoke({ revocation }) {
      const body = new URLSearchParams({ token: store.get("tokens").access_token, client_id: store.get("client").client_id });
      return (await fetch(revocation, { method: "POST", body })).status;
    },
  };
}
