// @modelcontextprotocol/client 2.x: the stateless revision too; `mode` is its version negotiation.
import {
  Client,
  StreamableHTTPClientTransport,
  discoverOAuthProtectedResourceMetadata,
} from "@modelcontextprotocol/client";
import { converse } from "./conversation.js";

globalThis.session = ({ endpoint, token, mode }) =>
  converse({
    token,
    discover: () => discoverOAuthProtectedResourceMetadata(endpoint),
    async connect(headers, fetch) {
      const transport = new StreamableHTTPClientTransport(new URL(endpoint), { requestInit: { headers }, fetch });
      const client = new Client({ name: "client2", version: "1" }, { versionNegotiation: { mode } });
      await client.connect(transport);
      if (client.getProtocolEra() === "modern") {
        const subscription = await client.listen({ toolsListChanged: true });
        await subscription.close();
      }
      return { client, transport, call: (params, options) => client.callTool(params, options) };
    },
  });
