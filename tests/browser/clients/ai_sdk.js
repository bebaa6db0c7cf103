// Vercel's AI SDK: a client of its own, with transports of its own. It sets User-Agent.
import { createMCPClient } from "@ai-sdk/mcp";
import { SUM } from "./use.js";

globalThis.connect = async ({ endpoint, token, type = "http" }) => {
  const client = await createMCPClient({
    transport: {
      type,
      url: endpoint,
      headers: { Authorization: `Bearer ${token}` },
      // The default is called as a method of the transport, which browsers refuse.
      fetch: (url, init) => fetch(url, init),
    },
  });
  const tools = await client.tools();
  const sum = await tools.calculateSum.execute(SUM.arguments, { messages: [], toolCallId: "1" });
  await client.close();
  return { tools: Object.keys(tools), sum: sum.content[0].text };
};
