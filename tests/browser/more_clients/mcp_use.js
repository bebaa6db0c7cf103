import { MCPClient } from "mcp-use/browser";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const client = new MCPClient({ mcpServers: { example: { url: endpoint, headers: { Authorization: `Bearer ${token}` } } } });
  const session = await client.createSession("example");
  const tools = await session.listTools();
  const { content } = await session.callTool(SUM.name, SUM.arguments);
  await client.closeAllSessions();
  return { tools: tools.map(({ name }) => name), sum: content[0].text };
};
