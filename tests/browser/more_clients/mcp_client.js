// It takes a URL and nothing else: it can send no token.
import { MCPClient } from "mcp-client";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, type = "httpStream" }) => {
  const client = new MCPClient({ name: "mcp-client", version: "1" });
  await client.connect({ type, url: endpoint });
  const tools = await client.getAllTools();
  const { content } = await client.callTool(SUM);
  await client.close();
  return { tools: tools.map(({ name }) => name), sum: content[0].text };
};
