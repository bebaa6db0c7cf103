// Bundles the TypeScript clients for the browser: one file for each, in bundles/.
import { build } from "esbuild";

await build({
  entryPoints: ["clients/sdk1.js", "clients/client2.js", "clients/ai_sdk.js"],
  absWorkingDir: import.meta.dirname,
  bundle: true,
  format: "iife",
  minify: true,
  outdir: "bundles",
  platform: "browser",
  target: "es2022",
});
