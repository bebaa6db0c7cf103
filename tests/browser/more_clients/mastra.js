import { MCPClient } from "@mastra/mcp";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const headers = { Authorization: `Bearer ${token}` };
  // Without an id it makes one with a module of Node.
  const client = new MCPClient({ id: "example", servers: { example: { url: new URL(endpoint), requestInit: { headers } } } });
  const tools = await client.listTools();
  const { result } = await tools[`example_${SUM.name}`].execute(SUM.arguments, {});
  await client.disconnect();
  return { tools: Object.keys(tools).map((name) => name.replace("example_", "")), sum: String(result) };
};
