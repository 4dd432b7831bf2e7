// Signing in with a real OpenID provider: by the pages alone, and by NextAuth's own browser clients, unmodified.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { enter, freePort, leftOut, startBrowser, startService } from "../browser/service.mjs";
import { bundle, serve } from "./pages/serve.mjs";
import { settings, signInThere, startProvider } from "./provider.mjs";

const session = async (context, origin) => (await context.request.get(`${origin}/api/auth/session`)).json();

for (const [generation, format, strategy] of [
  ["v3", "nextauth-v3", "jwt"], ["v4", "nextauth-v4", "database"], ["v5", "authjs-v5", "jwt"],
]) {
  describe(`an OpenID provider and the client of ${generation}`, { skip: leftOut, timeout: 240_000 }, () => {
    let provider, service, browser, origin;
    before(async () => {
      const port = await freePort();
      origin = `http://localhost:${port}`;
      provider = await startProvider(origin, "acme");
      service = await startService({
        ROCKET_PORT: `${port}`, COUNTERSIGN_URL: origin, COUNTERSIGN_JWT__FORMAT: format,
        COUNTERSIGN_SESSION__STRATEGY: strategy, ...settings("acme", provider.issuer),
      });
      browser = await startBrowser();
    });
    after(async () => {
      await browser?.close();
      await service?.stop();
      await provider?.stop();
    });

    test("the client's signIn goes there and comes back signed in", async () => {
      const context = await browser.newContext();
      await serve(context, origin, await bundle(generation));
      const page = await context.newPage();
      await page.goto(`${origin}/app/`);
      await page.locator("#status", { hasText: /^unauthenticated$/ }).waitFor();
      const providers = await page.evaluate(() => globalThis.client.getProviders());
      assert.equal(providers.acme.type, generation === "v5" ? "oidc" : "oauth");
      page.evaluate(() => globalThis.client.signIn("acme", { callbackUrl: "/app/after?x=1" }, { login_hint: "grace", scope: "admin" })).catch(() => {});
      await signInThere(page, provider.issuer, "grace");
      await page.waitForURL(`${origin}/app/after?x=1`);
      // The page below /app/ is put there by the test, which is not asked when a redirect leads to it.
      await page.reload();
      await page.locator("#status", { hasText: /^authenticated$/ }).waitFor();
      assert.equal(await page.locator("#email").textContent(), "grace@example.com");
      assert.equal(await page.locator("#name").textContent(), "Grace");
      const asked = provider.asked.findLast(({ path, query }) => path === "/auth" && query.login_hint);
      assert.equal(asked.query.scope, "openid email profile");
      assert.equal(asked.query.code_challenge_method, "S256");
      const left = (await context.cookies(origin)).filter(({ name }) => name.includes("oauth"));
      assert.deepEqual(left, []);
      await context.close();
    });

    test("without JavaScript, by the button on the sign-in page", async () => {
      const context = await browser.newContext({ javaScriptEnabled: false });
      const page = await context.newPage();
      await page.goto(`${origin}/protected`);
      await page.getByRole("button", { name: /Acme/ }).click();
      await signInThere(page, provider.issuer, "ada");
      await page.waitForURL(`${origin}/protected`);
      assert.equal((await session(context, origin)).user.email, "ada@example.com");
      await context.close();
    });

    test("two tabs at once both come to an end", async () => {
      const context = await browser.newContext();
      const pages = [];
      for (const target of ["/server-side-example", "/protected"]) {
        const page = await context.newPage();
        await page.goto(`${origin}/api/auth/signin?callbackUrl=${encodeURIComponent(target)}`);
        await page.getByRole("button", { name: /Acme/ }).click();
        await page.waitForURL((url) => url.origin === provider.issuer);
        pages.push([page, target]);
      }
      for (const [page, target] of pages.reverse()) {
        await signInThere(page, provider.issuer, "two");
        await page.waitForURL(`${origin}${target}`);
      }
      assert.equal((await session(context, origin)).user.email, "two@example.com");
      await context.close();
    });

    test("an account is linked on the account page, and unlinked", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await enter(page, origin, `holder-${generation}@example.com`);
      await page.goto(`${origin}/api/auth/account`);
      await page.getByRole("button", { name: "Link Acme" }).click();
      await signInThere(page, provider.issuer, "elsewhere");
      await page.waitForURL(`${origin}/api/auth/account`);
      await page.getByText("elsewhere@example.com").waitFor();
      const other = await browser.newContext();
      const tab = await other.newPage();
      await tab.goto(`${origin}/api/auth/signin?callbackUrl=/`);
      await tab.getByRole("button", { name: /Acme/ }).click();
      await signInThere(tab, provider.issuer, "elsewhere");
      await tab.waitForURL(`${origin}/`);
      assert.equal((await session(other, origin)).user.email, `holder-${generation}@example.com`);
      await page.getByRole("button", { name: "Unlink Acme" }).click();
      await page.getByText("no longer linked").waitFor();
      assert.equal(await page.getByText("elsewhere@example.com").count(), 0);
      await other.close();
      await context.close();
    });

    test("whoever says no there is back on the sign-in page", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(`${origin}/api/auth/signin`);
      await page.getByRole("button", { name: /Acme/ }).click();
      await page.waitForURL((url) => url.origin === provider.issuer);
      await page.getByRole("link", { name: /abort|cancel/i }).first().click();
      await page.waitForURL(/\/api\/auth\/signin\?.*error=OAuthCallback/);
      await page.getByRole("alert").waitFor();
      await context.close();
    });
  });
}
