// The OAuth code of @modelcontextprotocol/sdk 1.x.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { stages } from "./login.js";

globalThis.login = stages({
  make(endpoint, options) {
    const client = new Client({ name: "sdk1", version: "1" });
    const transport = new StreamableHTTPClientTransport(new URL(endpoint), options);
    return { client, transport, call: (params) => client.callTool(params) };
  },
  finish: (transport, answer) => transport.finishAuth(answer.get("code")),
});
