import { McpClient } from "@huggingface/mcp-client";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token, type = "http" }) => {
  const client = new McpClient({ model: "none", provider: "auto", apiKey: "none" });
  const headers = { Authorization: `Bearer ${token}` };
  await client.addMcpServer({ type, config: { url: endpoint, options: { requestInit: { headers } } } });
  const { content } = await client.clients.get(SUM.name).callTool(SUM);
  const tools = client.availableTools.map((tool) => tool.function.name);
  await client.cleanup();
  return { tools, sum: content[0].text };
};
