// Bundles the TypeScript clients for the browser: one file for each, in bundles/. With --example it
// makes example/page/sdk.js instead, which is kept in the repository so that the example needs no Node.
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { build } from "esbuild";

const shared = { absWorkingDir: import.meta.dirname, bundle: true, minify: true, platform: "browser", target: "es2022" };

if (process.argv.includes("--example")) {
  const outfile = process.argv.at(-1).endsWith(".js") ? process.argv.at(-1) : "../../example/page/sdk.js";
  const { metafile } = await build({
    ...shared,
    entryPoints: ["clients/example.js"],
    banner: { js: "// Made by `node tests/browser/build.mjs --example`; licences: sdk.licences.txt" },
    format: "esm",
    legalComments: "none",
    metafile: true,
    outfile,
  });
  const [{ inputs }] = Object.values(metafile.outputs);
  const used = Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0);
  const paths = used.map((path) => path.match(/^node_modules\/(@[^/]+\/)?[^/]+/)?.[0]);
  let licences = "sdk.js holds these packages:\n";
  for (const path of [...new Set(paths)].filter(Boolean).sort()) {
    const { name, version } = JSON.parse(await readFile(`${import.meta.dirname}/${path}/package.json`, "utf-8"));
    licences += `\n=== ${name} ${version}\n\n${await readFile(`${import.meta.dirname}/${path}/LICENSE`, "utf-8")}`;
  }
  await writeFile(new URL(outfile.replace(/\.js$/, ".licences.txt"), import.meta.url), licences);
} else {
  await build({
    ...shared,
    entryPoints: ["sdk1", "sse1", "client2", "login1", "login2", "ai_sdk"].map((name) => `clients/${name}.js`),
    format: "iife",
    outdir: "bundles",
  });
  // The clients that are not always there. Some name modules of Node for transports that no page uses.
  if (existsSync(new URL("more_clients/node_modules", import.meta.url))) {
    const names = await readdir(new URL("more_clients", import.meta.url));
    await build({
      ...shared,
      entryPoints: names.filter((name) => name.endsWith(".js")).map((name) => `more_clients/${name}`),
      define: { global: "globalThis" },
      banner: { js: "globalThis.process ??= { env: {}, versions: {}, on() {}, once() {}, off() {} };" },
      format: "iife",
      outdir: "bundles",
      plugins: [{ name: "no-node", setup: withoutNode }],
    });
  }
}

/** Any name of any module of Node is a function and class that does nothing; that of `async_hooks` runs what it is given. */
function withoutNode(bundler) {
  const names = builtinModules.filter((name) => !name.startsWith("_")).join("|");
  const contents = `
    function Nothing() {}
    Nothing.prototype = { run: (store, work, ...given) => work(...given), getStore() {} };
    const names = new Proxy({}, { get: (_, name) => (name === "__esModule" ? undefined : Nothing) });
    module.exports = Object.setPrototypeOf(function () {}, names);`;
  bundler.onResolve({ filter: new RegExp(`^(node:.*|(${names})(/.*)?)$`) }, ({ path }) => ({ path, namespace: "node" }));
  bundler.onLoad({ filter: /.*/, namespace: "node" }, () => ({ contents }));
}
