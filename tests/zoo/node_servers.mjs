// Servers on Node: Express with the official SDK, Hono and plain http with an endpoint by hand.
import { randomUUID } from "node:crypto";
import http from "node:http";
import zlib from "node:zlib";

import { serve } from "@hono/node-server";
import { hostHeaderValidation } from "@modelcontextprotocol/sdk/server/middleware/hostHeaderValidation.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import cors from "cors";
import express from "express";
import { rateLimit } from "express-rate-limit";
import { Hono } from "hono";
import { cors as honoCors } from "hono/cors";

const APP = "https://app.example.com";
const OTHER = "https://client.example.net";
const TOKEN = "zoo-token";
const REVISIONS = ["2025-11-25", "2025-06-18", "2025-03-26"];
const METHODS = ["GET", "POST", "DELETE", "OPTIONS"];
const HEADERS = ["Authorization", "Content-Type", "Last-Event-ID", "Mcp-Session-Id", "MCP-Protocol-Version"]
  .concat(["Mcp-Method", "Mcp-Name"]);
const EXPOSED = ["Mcp-Session-Id", "WWW-Authenticate"];

const isOwnHost = (host) => /^(127\.0\.0\.1|localhost):\d+$/.test(host ?? "");

// An endpoint by hand -------------------------------------------------------------------------------------------------

const json = (status, value, headers = {}) => ({
  status,
  headers: { "Content-Type": "application/json", ...headers },
  body: JSON.stringify(value),
});
const failed = (status, message, id = null) =>
  json(status, { jsonrpc: "2.0", id, error: { code: -32000, message } });

class Endpoint {
  sessions = new Set();

  answer(method, headers, body) {
    const session = headers["mcp-session-id"];
    if (method === "DELETE") {
      return this.sessions.delete(session) ? { status: 204, headers: {}, body: null } : failed(404, "Session not found");
    }
    if (method !== "POST") {
      return { status: 405, headers: { Allow: "POST, DELETE", "Content-Type": "text/plain" }, body: "Method Not Allowed" };
    }
    let message;
    try {
      message = JSON.parse(body);
    } catch {
      return failed(400, "Parse error");
    }
    if (typeof message?.method !== "string") return failed(400, "Invalid Request");
    if (message.method === "initialize") {
      const opened = randomUUID();
      this.sessions.add(opened);
      const asked = message.params?.protocolVersion;
      const result = {
        protocolVersion: REVISIONS.includes(asked) ? asked : REVISIONS[0],
        capabilities: { tools: {} },
        serverInfo: { name: "zoo", version: "1" },
      };
      return json(200, { jsonrpc: "2.0", id: message.id, result }, { "Mcp-Session-Id": opened });
    }
    const version = headers["mcp-protocol-version"];
    if (version && !REVISIONS.includes(version)) return failed(400, "Unsupported protocol version", message.id);
    if (!session) return failed(400, "Missing session ID", message.id);
    if (!this.sessions.has(session)) return failed(404, "Session not found", message.id);
    if (message.id === undefined) return { status: 202, headers: {}, body: null };
    const result = { ping: {}, "tools/list": { tools: [] } }[message.method];
    const outcome = result ? { result } : { error: { code: -32601, message: "Method not found" } };
    return json(200, { jsonrpc: "2.0", id: message.id, ...outcome });
  }
}

// Express -------------------------------------------------------------------------------------------------------------

function makeServer() {
  const server = new McpServer({ name: "zoo", version: "1.0.0" });
  server.registerTool("hello", { description: "Says hello." }, () => ({ content: [{ type: "text", text: "hello" }] }));
  return server;
}

function expressApp(fault) {
  const app = express();
  const transports = {};
  const origins = fault === "express-wrong-origin" ? [APP, OTHER] : [APP];
  const options = { origin: APP, methods: METHODS, exposedHeaders: EXPOSED, maxAge: 7200 };
  if (fault === "express-no-expose") delete options.exposedHeaders;

  if (fault === "express-rate-limit") {
    app.use(rateLimit({ windowMs: 60_000, limit: 3, skip: (request) => request.method !== "OPTIONS" }));
  }
  if (fault === "express-rate-limit-all") app.use(rateLimit({ windowMs: 60_000, limit: 20 }));
  if (fault === "express-preflight-hang") {
    app.use((request, response, next) => {
      if (request.method !== "OPTIONS") next();
    });
  }
  if (fault === "express-json-first") app.use(express.json());
  app.use((request, response, next) => {
    const { host, origin } = request.headers;
    if (!isOwnHost(host)) return response.status(421).json({ error: "Host not served" });
    if (origin && !origins.includes(origin)) return response.status(403).json({ error: "Origin not allowed" });
    next();
  });
  if (fault === "express-list-throws") {
    options.origin = (origin, done) => (!origin || origin === OTHER ? done(null, true) : done(new Error("Not allowed by CORS")));
  }
  if (fault === "express-routes-only") {
    app.post("/mcp", cors(options));
    app.get("/mcp", cors(options));
    app.delete("/mcp", cors(options));
  } else if (fault !== "express-cors-last") app.use(cors(options));
  if (fault === "express-ok-rate-limit") app.use(rateLimit({ windowMs: 60_000, limit: 1000 }));
  app.use(express.json());
  if (fault === "express-sdk-host") app.use(hostHeaderValidation(["mcp.example.com"]));

  app.post("/mcp", async (request, response) => {
    const id = request.headers["mcp-session-id"];
    let transport = transports[id];
    if (fault === "express-ok-stateless") {
      transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
      response.on("close", () => transport.close());
      await makeServer().connect(transport);
    } else if (!transport && !id && isInitializeRequest(request.body)) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        enableJsonResponse: fault === "express-ok-json",
        enableDnsRebindingProtection: fault === "express-sdk-origin",
        allowedOrigins: ["https://www.example.com"],
        onsessioninitialized: (opened) => (transports[opened] = transport),
      });
      transport.onclose = () => delete transports[transport.sessionId];
      await makeServer().connect(transport);
    } else if (!transport) {
      const message = id ? "Session not found" : "Bad Request: No valid session ID provided";
      return response.status(id ? 404 : 400).json({ jsonrpc: "2.0", id: null, error: { code: -32000, message } });
    }
    await transport.handleRequest(request, response, fault === "express-no-body" ? undefined : request.body);
  });
  const withSession = async (request, response) => {
    const transport = transports[request.headers["mcp-session-id"]];
    if (fault === "express-ok-stateless") return response.status(405).set("Allow", "POST").send("Method Not Allowed");
    if (!transport) return response.status(404).send("Session not found");
    await transport.handleRequest(request, response);
  };
  app.get("/mcp", withSession);
  app.delete("/mcp", withSession);
  if (fault === "express-cors-last") app.use(cors(options));
  return http.createServer(app);
}

// Hono ----------------------------------------------------------------------------------------------------------------

function honoFetch(fault) {
  const app = new Hono();
  const endpoint = new Endpoint();
  const hasLogin = fault.endsWith("-token") || fault === "hono-cors-on-mcp-only";
  const settings = { origin: APP, allowMethods: METHODS, allowHeaders: HEADERS, exposeHeaders: EXPOSED, maxAge: 7200 };
  app.use(async (c, next) => {
    const origin = c.req.header("origin");
    if (!isOwnHost(c.req.header("host"))) return c.json({ error: "Host not served" }, 421);
    const isPublic = hasLogin && c.req.path !== "/mcp";
    if (origin && origin !== APP && !isPublic) return c.json({ error: "Origin not allowed" }, 403);
    await next();
  });
  const onMcpOnly = fault === "hono-cors-on-mcp-only" || fault === "hono-ok-route";
  if (!onMcpOnly && hasLogin) {
    for (const path of ["/.well-known/*", "/token", "/register"]) app.use(path, honoCors({ origin: "*", maxAge: 7200 }));
  }
  app.use(onMcpOnly || hasLogin ? "/mcp" : "*", honoCors(settings));
  if (hasLogin) {
    const base = (c) => `http://${c.req.header("host")}`;
    app.use("/mcp", async (c, next) => {
      if (c.req.header("authorization") === `Bearer ${TOKEN}`) return next();
      const metadata = `${base(c)}/.well-known/oauth-protected-resource/mcp`;
      return c.json({ error: "Unauthorized" }, 401, { "WWW-Authenticate": `Bearer resource_metadata="${metadata}"` });
    });
    app.get("/.well-known/oauth-protected-resource/mcp", (c) =>
      c.json({ resource: `${base(c)}/mcp`, authorization_servers: [base(c)] }),
    );
    app.get("/.well-known/oauth-authorization-server", (c) =>
      c.json({
        issuer: base(c),
        authorization_endpoint: `${base(c)}/authorize`,
        token_endpoint: `${base(c)}/token`,
        registration_endpoint: `${base(c)}/register`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
      }),
    );
    app.post("/token", (c) => c.json({ error: "unsupported_grant_type" }, 400));
    app.post("/register", (c) => c.json({ error: "invalid_client_metadata" }, 400));
  }
  app.on(["GET", "POST", "DELETE"], "/mcp", async (c) => {
    const { status, headers, body } = endpoint.answer(c.req.method, c.req.header(), await c.req.text());
    return c.body(body, status, headers);
  });
  return app.fetch;
}

// plain Node ----------------------------------------------------------------------------------------------------------

function nodeServer(fault) {
  const endpoint = new Endpoint();
  return http.createServer(async (request, response) => {
    const { host, origin } = request.headers;
    let body = "";
    for await (const chunk of request) body += chunk;
    response.setHeader("Vary", "Origin");
    const send = ({ status, headers, body }) => response.writeHead(status, headers).end(body ?? undefined);
    if (!isOwnHost(host)) return send(failed(421, "Host not served"));
    if (origin && origin !== APP) return send(failed(403, "Origin not allowed"));
    if (origin) {
      response.setHeader("Access-Control-Allow-Origin", origin);
      response.setHeader("Access-Control-Expose-Headers", EXPOSED.join(", "));
    }
    if (request.method === "OPTIONS") {
      const allow = { "Access-Control-Allow-Methods": METHODS.join(), "Access-Control-Allow-Headers": HEADERS.join() };
      return response.writeHead(204, { ...allow, "Access-Control-Max-Age": "7200" }).end();
    }
    if (request.url !== "/mcp") return send(failed(404, "Not found"));
    if (request.method === "GET" && fault === "node-get-404") return send(failed(404, "Cannot GET /mcp"));
    if (request.method === "GET" && endpoint.sessions.has(request.headers["mcp-session-id"])) {
      return stream(request, response, fault);
    }
    const answer = endpoint.answer(request.method, request.headers, body);
    if (fault === "node-text-plain" && answer.headers["Content-Type"]) answer.headers["Content-Type"] = "text/plain";
    if (fault === "node-ok-chunked" && answer.body) {
      const half = answer.body.length >> 1;
      response.writeHead(answer.status, answer.headers).write(answer.body.slice(0, half));
      return setTimeout(() => response.end(answer.body.slice(half)), 20);
    }
    send(answer);
  });
}

function stream(request, response, fault) {
  const isJson = fault === "node-sse-json";
  const headers = { "Content-Type": isJson ? "application/json" : "text/event-stream", "Cache-Control": "no-cache" };
  const isCompressed = /gzip/.test(request.headers["accept-encoding"] ?? "") && /gzip|compressed/.test(fault);
  if (isCompressed) headers["Content-Encoding"] = "gzip";
  response.writeHead(200, headers);
  response.flushHeaders();
  let out = response;
  if (isCompressed) {
    out = zlib.createGzip();
    out.pipe(response);
  }
  const write = (text) => {
    out.write(text);
    if (fault === "node-ok-gzip" && isCompressed) out.flush(zlib.constants.Z_SYNC_FLUSH);
  };
  write('event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
  const timer = setInterval(() => write(": ping\n\n"), 1000);
  response.on("close", () => clearInterval(timer));
}

// -------------------------------------------------------------------------------------------------------------------

for (const fault of process.argv.slice(2)) {
  const announce = (info) => console.log(fault, info.port);
  if (fault.startsWith("hono-")) {
    serve({ fetch: honoFetch(fault), hostname: "127.0.0.1", port: 0 }, announce);
  } else {
    const server = fault.startsWith("express-") ? expressApp(fault) : nodeServer(fault);
    server.listen(0, "127.0.0.1", () => announce(server.address()));
  }
}
process.stdin.on("end", () => process.exit()).resume();
