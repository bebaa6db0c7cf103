// What the example's page needs of the official client: example/page/sdk.js is made of this.
export { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
