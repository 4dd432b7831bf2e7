// The npm package `oidc-provider` as the OpenID provider: a real one, with its own pages, on a port of its own.
import { once } from "node:events";
import { Provider } from "oidc-provider";
import { freePort } from "../browser/service.mjs";

export const client = { id: "countersign", secret: "a secret that the provider gave us" };

/** A provider for the service at `origin`, under which it is called `name`. Whoever signs in is who they say they are. */
export async function startProvider(origin, name) {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: client.id,
      client_secret: client.secret,
      redirect_uris: [`${origin}/api/auth/callback/${name}`],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    scopes: ["openid", "email", "profile"],
    pkce: { required: () => true },
    cookies: { keys: ["a key of this test"] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: `${id[0].toUpperCase()}${id.slice(1)}` }),
    }),
  });
  const asked = [];
  provider.use(async (context, next) => {
    asked.push({ path: context.path, query: { ...context.query } });
    await next();
  });
  const server = provider.listen(port, "127.0.0.1");
  await once(server, "listening");
  const stop = () => new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
  return { issuer, asked, stop };
}

/** The settings of a service that knows the provider. */
export const settings = (name, issuer) => Object.fromEntries(Object.entries({
  ISSUER: issuer, CLIENT_ID: client.id, CLIENT_SECRET: client.secret, NAME: "Acme",
}).map(([key, value]) => [`COUNTERSIGN_PROVIDERS__${name.toUpperCase()}__${key}`, value]));

/** Signs in on the provider's own pages, and agrees. */
export async function signInThere(page, issuer, login) {
  await page.waitForURL((url) => url.origin === issuer);
  await page.locator("input[name=login]").fill(login);
  await page.locator("input[name=password]").fill("anything");
  await page.locator("button[type=submit]").click();
  // Whoever agreed in another tab a moment ago is not asked again.
  const consent = page.locator("input[name=prompt][value=consent]").waitFor({ state: "attached" }).then(() => true);
  const back = page.waitForURL((url) => url.origin !== issuer).then(() => false);
  [consent, back].forEach((outcome) => outcome.catch(() => {}));
  const asked = await Promise.race([consent, back]);
  if (asked) await page.locator("button[type=submit]").click();
}
