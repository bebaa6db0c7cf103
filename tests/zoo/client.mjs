// The official client's way through a server, from a page: the login as far as it goes without a person, a session,
// two requests, and the end of the session. Bundled by test_chromium.py.
import {
  discoverAuthorizationServerMetadata,
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
  selectResourceURL,
} from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

// A server that says nothing within this time has failed.
const PATIENCE = 10_000;

const inTime = (promise, what) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`late: ${what}`)), PATIENCE))]);

async function logIn(url) {
  const body = { jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25" } };
  const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
  const refused = await inTime(fetch(url, { method: "POST", headers, body: JSON.stringify(body) }), "the 401");
  if (refused.status !== 401) throw new Error(`${refused.status} without a token`);
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(refused);
  // As the client does: without such a document the server itself may be the authorization server.
  let resource;
  try {
    resource = await inTime(discoverOAuthProtectedResourceMetadata(url, { resourceMetadataUrl }), "the resource");
  } catch (error) {
    if (resourceMetadataUrl) throw error;
  }
  await selectResourceURL(url, {}, resource);
  const issuer = resource?.authorization_servers?.[0] ?? new URL("/", url);
  const server = await inTime(discoverAuthorizationServerMetadata(issuer), "the authorization server");
  if (!server) throw new Error("no metadata of the authorization server");
  const form = { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" };
  await inTime(fetch(server.token_endpoint, { method: "POST", headers: form, body: "grant_type=none" }), "the token");
}

globalThis.connect = async ({ url, token }) => {
  const client = new Client({ name: "zoo", version: "1" });
  try {
    if (token) await logIn(url);
    const requestInit = token ? { headers: { Authorization: `Bearer ${token}` } } : {};
    const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
    await inTime(client.connect(transport), "connect");
    await inTime(client.listTools(), "tools/list");
    await inTime(client.listTools(), "tools/list again");
    // The end of a session is one message, which may be lost.
    await inTime(transport.terminateSession(), "DELETE").catch(() => {});
    return "";
  } catch (error) {
    return String(error);
  } finally {
    await client.close();
  }
};
