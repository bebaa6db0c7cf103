// The transport of revision 2024-11-05 in @modelcontextprotocol/sdk 1.x.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { use } from "./use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const headers = { Authorization: `Bearer ${token}` };
  const client = new Client({ name: "sse1", version: "1" });
  await client.connect(new SSEClientTransport(new URL(endpoint), { requestInit: { headers } }));
  return use(client);
};
