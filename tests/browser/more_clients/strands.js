import { McpClient } from "@strands-agents/sdk";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const client = new McpClient({ url: endpoint, headers: { Authorization: `Bearer ${token}` } });
  const tools = await client.listTools();
  const sum = await client.callTool(tools.find(({ name }) => name === SUM.name), SUM.arguments);
  await client.disconnect();
  return { tools: tools.map(({ name }) => name), sum: sum.content[0].text };
};
