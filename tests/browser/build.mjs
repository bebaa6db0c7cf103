// Bundles the TypeScript clients for the browser: one file for each, in bundles/. With --example it
// makes example/page/sdk.js instead, which is kept in the repository so that the example needs no Node.
import { readFile, writeFile } from "node:fs/promises";
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
    entryPoints: ["clients/sdk1.js", "clients/client2.js", "clients/login1.js", "clients/login2.js", "clients/ai_sdk.js"],
    format: "iife",
    outdir: "bundles",
  });
}
