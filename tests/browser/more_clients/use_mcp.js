// A hook of React's.
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useMcp } from "use-mcp/react";
import { SUM } from "../clients/use.js";

globalThis.connect = ({ endpoint, token }) =>
  new Promise((resolve, reject) => {
    function Probe() {
      const { state, error, tools, callTool } = useMcp({
        url: endpoint,
        customHeaders: { Authorization: `Bearer ${token}` },
        transportType: "http",
        preventAutoAuth: true,
      });
      useEffect(() => {
        if (state === "failed") reject(new Error(error));
        if (state === "ready") {
          callTool(SUM.name, SUM.arguments).then(({ content }) => {
            resolve({ tools: tools.map(({ name }) => name), sum: content[0].text });
            root.unmount();
          }, reject);
        }
      }, [state]);
    }
    const root = createRoot(document.body.appendChild(document.createElement("div")));
    root.render(createElement(Probe));
  });
