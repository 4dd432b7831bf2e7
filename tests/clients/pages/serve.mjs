// Bundles a page over one of the clients, and serves it on the service's own origin: beside the API, as an application would.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The script of a page, with everything it imports. */
export async function bundle(generation) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`./${generation}.mjs`, import.meta.url))],
    bundle: true, write: false, format: "iife", logLevel: "error",
    // In a browser the packages find no environment.
    define: { "process.env.NODE_ENV": '"production"', "process.env": "{}" },
  });
  return outputFiles[0].text;
}

const html = (session) => `<!doctype html><title>app</title>${
  session === undefined ? "" : `<script id="session" type="application/json">${JSON.stringify(session)}</script>`
}<div id="root"></div><script src="/app/app.js"></script>`;

/** Lets every page below /app/ be this application; `session` is what its server would hand it. */
export const serve = (context, origin, script, session) => context.route(`${origin}/app/**`, (route) =>
  new URL(route.request().url()).pathname === "/app/app.js"
    ? route.fulfill({ contentType: "text/javascript", body: script })
    : route.fulfill({ contentType: "text/html", body: html(session) }));
