// The first release of the official SDK for which a page needs no `EventSource` with headers: it has none, so the
// stream is opened without a token, and only its messages carry one.
import { Client } from "sdk-1.0/client/index.js";
import { SSEClientTransport } from "sdk-1.0/client/sse.js";
import { use } from "../clients/use.js";

globalThis.connect = async ({ endpoint, token }) => {
  const headers = { Authorization: `Bearer ${token}` };
  const client = new Client({ name: "sdk", version: "1" }, { capabilities: {} });
  await client.connect(new SSEClientTransport(new URL(endpoint), { requestInit: { headers } }));
  return use(client);
};
