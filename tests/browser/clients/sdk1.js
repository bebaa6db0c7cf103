// @modelcontextprotocol/sdk 1.x: the revisions with sessions.
import { discoverOAuthProtectedResourceMetadata } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { converse } from "./conversation.js";

globalThis.session = ({ endpoint, token }) =>
  converse({
    token,
    discover: () => discoverOAuthProtectedResourceMetadata(endpoint),
    async connect(headers, fetch) {
      const transport = new StreamableHTTPClientTransport(new URL(endpoint), { requestInit: { headers }, fetch });
      const client = new Client({ name: "sdk1", version: "1" });
      await client.connect(transport);
      const call = (params, options) => client.callTool(params, undefined, options);
      return { client, transport, call };
    },
  });
