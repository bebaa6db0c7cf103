// Vercel's AI SDK: a client of its own, with a transport of its own. It sets User-Agent.
import { createMCPClient } from "@ai-sdk/mcp";

globalThis.connect = async ({ endpoint, token }) => {
  const client = await createMCPClient({
    transport: {
      type: "http",
      url: endpoint,
      headers: { Authorization: `Bearer ${token}` },
      // The default is called as a method of the transport, which browsers refuse.
      fetch: (url, init) => fetch(url, init),
    },
  });
  const tools = await client.tools();
  const sum = await tools.calculateSum.execute({ a: 19, b: 23 }, { messages: [], toolCallId: "1" });
  await client.close();
  return { tools: Object.keys(tools), sum: sum.content[0].text };
};
