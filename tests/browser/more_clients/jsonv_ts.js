import { McpClient } from "jsonv-ts/mcp";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const client = new McpClient({ url: endpoint, headers: { Authorization: `Bearer ${token}` }, fetch: (url, init) => fetch(url, init) });
  await client.connect();
  const { tools } = await client.listTools();
  const { content } = await client.callTool(SUM);
  return { tools: tools.map(({ name }) => name), sum: content[0].text };
};
