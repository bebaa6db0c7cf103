// Google's SDK takes a connected client of the official kind, and calls its tools when the model asks for it.
import { mcpToTool } from "@google/genai";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { SUM } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const headers = { Authorization: `Bearer ${token}` };
  const client = new Client({ name: "genai", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(endpoint), { requestInit: { headers } }));
  const callable = mcpToTool(client);
  const { functionDeclarations } = await callable.tool();
  const [part] = await callable.callTool([{ name: SUM.name, args: SUM.arguments }]);
  await client.close();
  return { tools: functionDeclarations.map(({ name }) => name), sum: part.functionResponse.response.content[0].text };
};
