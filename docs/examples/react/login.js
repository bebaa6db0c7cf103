// Connects a page to an MCP server that wants a login. The login leaves the page and comes back to it, so call
// `connect` whenever the page is loaded, at "/callback" too.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const load = (key) => JSON.parse(sessionStorage.getItem(`mcp.${key}`)) ?? undefined;
const save = (key, value) => sessionStorage.setItem(`mcp.${key}`, JSON.stringify(value));

// The SDK's OAuthClientProvider: where to keep things, and how to get to the login page.
const authProvider = {
  redirectUrl: `${location.origin}/callback`,
  clientMetadata: {
    client_name: "My page",
    redirect_uris: [`${location.origin}/callback`],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state() {
    save("state", crypto.randomUUID());
    return load("state");
  },
  clientInformation: () => load("client"),
  saveClientInformation: (client) => save("client", client),
  tokens: () => load("tokens"),
  saveTokens: (tokens) => save("tokens", tokens),
  codeVerifier: () => load("verifier"),
  saveCodeVerifier: (verifier) => save("verifier", verifier),
  discoveryState: () => load("discovery"),
  saveDiscoveryState: (discovery) => save("discovery", discovery),
  redirectToAuthorization(url) {
    location.assign(url);
    return new Promise(() => {}); // the page ends here
  },
};

export async function connect(endpoint) {
  const transport = () => new StreamableHTTPClientTransport(new URL(endpoint), { authProvider });
  const answer = new URLSearchParams(location.search);
  if (answer.has("state")) {
    history.replaceState(null, "", "/");
    if (answer.get("state") !== load("state")) throw new Error("This page has not asked for this login.");
    if (answer.has("error")) throw new Error(`The login failed: ${answer.get("error")}`);
    await transport().finishAuth(answer);
  }
  const client = new Client({ name: "my-page", version: "1" });
  await client.connect(transport());
  return client;
}
