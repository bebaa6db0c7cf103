import { MCPClient } from "@mastra/mcp";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const headers = { Authorization: `Bearer ${token}` };
  const client = new MCPClient({ servers: { example: { url: new URL(endpoint), requestInit: { headers } } } });
  const tools = await client.listTools();
  const { content } = await tools[`example_${SUM.name}`].execute(SUM.arguments, {});
  await client.disconnect();
  return { tools: Object.keys(tools).map((name) => name.replace("example_", "")), sum: content[0].text };
};
