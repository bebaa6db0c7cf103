// The OAuth code of @modelcontextprotocol/client 2.x.
import { Client, DpopSession, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { stages } from "./login.js";

globalThis.login = stages({
  make(endpoint, options) {
    const client = new Client({ name: "client2", version: "1" }, { versionNegotiation: { mode: "auto" } });
    const transport = new StreamableHTTPClientTransport(new URL(endpoint), options);
    return { client, transport, call: (params) => client.callTool(params) };
  },
  finish: (transport, answer) => transport.finishAuth(answer),
  dpop: () => DpopSession.create(),
});
