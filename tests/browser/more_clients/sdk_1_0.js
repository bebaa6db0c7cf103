// It sends the headers that it is given with neither the stream nor the messages, so no token.
import { Client } from "sdk-1.0/client/index.js";
import { SSEClientTransport } from "sdk-1.0/client/sse.js";
import { use } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const headers = { Authorization: `Bearer ${token}` };
  const client = new Client({ name: "sdk", version: "1" }, { capabilities: {} });
  await client.connect(new SSEClientTransport(new URL(endpoint), { requestInit: { headers } }));
  return use(client);
};
