import { useEffect, useState } from "react";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const url = new URL(import.meta.env.VITE_MCP_URL ?? "http://127.0.0.1:5000/mcp");

export default function App() {
  const [tools, setTools] = useState([]);
  const [error, setError] = useState("");

  useEffect(() => {
    // In development, React runs an effect twice: what the first run still reports does not count.
    let over = false;
    const client = new Client({ name: "my-page", version: "1.0.0" });
    client
      .connect(new StreamableHTTPClientTransport(url))
      .then(() => client.listTools())
      .then((result) => over || setTools(result.tools.map((tool) => tool.name)))
      .catch((reason) => over || setError(String(reason)));
    return () => {
      over = true;
      client.close();
    };
  }, []);

  if (error) return <p role="alert">{error}</p>;
  return <ul>{tools.map((name) => <li key={name}>{name}</li>)}</ul>;
}
