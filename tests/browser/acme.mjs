// Acme, another site: OAuth 2.0 as small as it can be. Whoever comes is let in at once, as the person it was told to say.
import { once } from "node:events";
import { createServer } from "node:http";

/** Acme on a port of its own; `settings` make a service know it. */
export async function startAcme() {
  const person = { id: "7", name: "Ada at Acme", email: "ada@acme.example" };
  const json = (response, body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    if (pathname === "/token") return json(response, { access_token: "a", token_type: "Bearer" });
    if (pathname === "/me") return json(response, person);
    const back = new URL(searchParams.get("redirect_uri"));
    back.search = new URLSearchParams({ code: "c", state: searchParams.get("state") });
    return response.writeHead(302, { location: `${back}` }).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://localhost:${server.address().port}`;
  const settings = Object.fromEntries(Object.entries({
    NAME: "Acme", CLIENT_ID: "countersign", CLIENT_SECRET: "a secret that Acme gave us",
    AUTHORIZATION_URL: `${origin}/authorize`, TOKEN_URL: `${origin}/token`, USERINFO_URL: `${origin}/me`,
  }).map(([key, value]) => [`COUNTERSIGN_PROVIDERS__ACME__${key}`, value]));
  const stop = () => new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
  return { origin, settings, stop };
}
