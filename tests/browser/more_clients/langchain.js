// LangChain's adapters around the official client.
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token, transport }) => {
  const client = new MultiServerMCPClient({
    mcpServers: { example: { transport, url: endpoint, headers: { Authorization: `Bearer ${token}` } } },
  });
  const tools = await client.getTools();
  const sum = await tools.find(({ name }) => name === SUM.name).invoke(SUM.arguments);
  await client.close();
  return { tools: tools.map(({ name }) => name), sum: sum.text ?? sum };
};
