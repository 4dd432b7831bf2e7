// NextAuth's own browser clients, unmodified, in a React page in Chromium.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { leftOut, password, signUp, startBrowser, startService } from "../browser/service.mjs";
import { bundle, serve } from "./pages/serve.mjs";

const generations = { v3: "nextauth-v3", v4: "nextauth-v4", v5: "authjs-v5" };

for (const [generation, format] of Object.entries(generations)) {
  describe(`the browser client of ${generation}`, { skip: leftOut, timeout: 240_000 }, () => {
    let service, browser, origin, script;
    before(async () => {
      script = await bundle(generation);
      service = await startService({ COUNTERSIGN_JWT__FORMAT: format });
      browser = await startBrowser();
      origin = service.origin;
      const page = await browser.newPage();
      await signUp(page, origin, "ada@example.com");
      await page.close();
    });
    after(async () => {
      await browser?.close();
      await service?.stop();
    });

    /** A browser of its own with the page open; every error in the page fails the test. */
    const open = async (context, path = "/app/") => {
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(`${error}`));
      page.on("console", (message) => {
        if (message.type() === "error" && !message.text().includes("Failed to load resource")) errors.push(message.text());
      });
      await page.goto(`${origin}${path}`);
      return Object.assign(page, { errors });
    };
    const start = async (session) => {
      const context = await browser.newContext();
      await serve(context, origin, script, session);
      return context;
    };
    const status = (page, expected) => page.locator("#status", { hasText: new RegExp(`^${expected}$`) }).waitFor();
    const signIn = (page, secret, options = {}) => page.evaluate(
      ([credentials, more]) => globalThis.client.signIn("credentials", { ...credentials, ...more }),
      [{ email: "ada@example.com", password: secret }, options],
    );
    /** Signs in and leaves the page: an answer that comes back to it would be lost with it, so none is waited for. */
    const leave = (page, secret, options = {}) => page.evaluate(
      ([credentials, more]) => { globalThis.client.signIn("credentials", { ...credentials, ...more }); },
      [{ email: "ada@example.com", password: secret }, options],
    );
    const entered = async (context) => {
      const page = await open(context);
      await status(page, "unauthenticated");
      assert.equal((await signIn(page, password, { redirect: false })).ok, true);
      await status(page, "authenticated");
      return page;
    };
    /** Signs out behind the pages' backs. */
    const signOutElsewhere = async (context) => {
      const { csrfToken } = await (await context.request.get(`${origin}/api/auth/csrf`)).json();
      const answer = await context.request.post(`${origin}/api/auth/signout`, { form: { csrfToken, json: "true" } });
      assert.equal(answer.status(), 200);
    };

    test("loading, then signed out; the wrong password, then the right one, without leaving the page", async () => {
      const context = await start();
      const page = await open(context);
      await status(page, "unauthenticated");
      assert.deepEqual(await page.evaluate(() => globalThis.states), ["loading", "unauthenticated"]);
      const wrong = await signIn(page, "wrong", { redirect: false });
      assert.equal(wrong.error, "CredentialsSignin");
      assert.equal(wrong.status, 401);
      assert.equal(wrong.ok, false);
      assert.equal(wrong.url, null);
      assert.equal(await page.locator("#status").textContent(), "unauthenticated");
      const right = await signIn(page, password, { redirect: false, callbackUrl: "/app/after" });
      assert.equal(right.ok, true);
      assert.equal(right.status, 200);
      assert.ok(right.error === undefined || right.error === null);
      assert.equal(right.url, `${origin}/app/after`);
      await status(page, "authenticated");
      assert.equal(await page.locator("#email").textContent(), "ada@example.com");
      assert.deepEqual(page.errors, []);
      await page.reload();
      await status(page, "authenticated");
      assert.deepEqual(await page.evaluate(() => globalThis.states), ["loading", "authenticated"]);
      await context.close();
    });

    test("signIn with a callbackUrl goes there; a foreign one stays at home", async () => {
      for (const [wanted, expected] of [["/app/after?x=1", "/app/after?x=1"], ["https://evil.test/", "/"]]) {
        const context = await start();
        const page = await open(context);
        await status(page, "unauthenticated");
        await leave(page, password, { callbackUrl: wanted });
        await page.waitForURL(`${origin}${expected}`);
        assert.equal((await context.request.get(`${origin}/api/get-session-example`)).status(), 200);
        await context.close();
      }
    });

    test("signIn with a wrong password leads to a page that says so", async () => {
      const context = await start();
      const page = await open(context);
      await status(page, "unauthenticated");
      await leave(page, "wrong");
      await page.waitForURL(/\/api\/auth\/signin\?.*error=CredentialsSignin/);
      await page.getByRole("alert").waitFor();
      await context.close();
    });

    test("signIn without a provider opens the sign-in page", async () => {
      const context = await start();
      const page = await open(context, "/app/here");
      await status(page, "unauthenticated");
      await page.evaluate(() => { globalThis.client.signIn(); });
      await page.waitForURL(/\/api\/auth\/signin\?callbackUrl=/);
      assert.equal(new URL(page.url()).searchParams.get("callbackUrl"), `${origin}/app/here`);
      await context.close();
    });

    test("getSession, getCsrfToken and getProviders", async () => {
      const context = await start();
      const page = await entered(context);
      const found = await page.evaluate(async () => ({
        session: await globalThis.client.getSession(),
        token: await globalThis.client.getCsrfToken(),
        providers: await globalThis.client.getProviders(),
      }));
      assert.equal(found.session.user.email, "ada@example.com");
      assert.ok(new Date(found.session.expires) > new Date());
      assert.match(found.token, /^[0-9a-f]{64}$/);
      assert.equal(found.providers.credentials.type, "credentials");
      assert.equal(found.providers.credentials.callbackUrl, `${origin}/api/auth/callback/credentials`);
      await signOutElsewhere(context);
      assert.equal(await page.evaluate(() => globalThis.client.getSession()), null);
      assert.deepEqual(page.errors, []);
      await context.close();
    });

    test("signOut, staying and leaving", async () => {
      const context = await start();
      const page = await entered(context);
      const answer = await page.evaluate(() => globalThis.client.signOut({ redirect: false, callbackUrl: "/app/bye" }));
      assert.equal(answer.url, `${origin}/app/bye`);
      await status(page, "unauthenticated");
      assert.equal((await context.request.get(`${origin}/api/get-session-example`)).status(), 401);
      await signIn(page, password, { redirect: false });
      await status(page, "authenticated");
      await page.evaluate(() => { globalThis.client.signOut({ callbackUrl: "/app/bye" }); });
      await page.waitForURL(`${origin}/app/bye`);
      await status(page, "unauthenticated");
      assert.deepEqual(page.errors, []);
      await context.close();
    });

    test("the session is asked for again when the page gets the focus", async () => {
      const context = await start();
      const page = await entered(context);
      await signOutElsewhere(context);
      // The clients count in whole seconds: within the same one they do not ask again.
      await page.waitForTimeout(1100);
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await status(page, "unauthenticated");
      await context.close();
    });

    test("two tabs: what happens in one shows in the other", async () => {
      const context = await start();
      const one = await entered(context);
      const two = await open(context);
      await status(two, "authenticated");
      await one.evaluate(() => globalThis.client.signOut({ redirect: false }));
      await status(two, "unauthenticated");
      await signIn(two, password, { redirect: false });
      await two.evaluate(() => globalThis.client.getSession());
      await status(one, "authenticated");
      assert.deepEqual([...one.errors, ...two.errors], []);
      await context.close();
    });

    test("a session given by the server is there without loading and without asking", async () => {
      const context = await start();
      await (await entered(context)).close();
      const session = await (await context.request.get(`${origin}/api/auth/session`)).json();
      await context.unroute(`${origin}/app/**`);
      await serve(context, origin, script, session);
      const asked = [];
      context.on("request", (request) => { if (request.url().endsWith("/api/auth/session")) asked.push(request.url()); });
      const page = await open(context);
      await status(page, "authenticated");
      await page.waitForTimeout(300);
      assert.deepEqual(await page.evaluate(() => globalThis.states), ["authenticated"]);
      // v3's Provider asks all the same, but only to confirm.
      if (generation !== "v3") assert.deepEqual(asked, []);
      await context.close();
    });

    test("update() brings what changed", { skip: generation === "v3" && "v3 has no update()" }, async () => {
      const context = await start();
      const page = await entered(context);
      assert.equal(await page.locator("#name").textContent(), "Ada");
      const { csrfToken } = await (await context.request.get(`${origin}/api/auth/csrf`)).json();
      const changed = await context.request.post(`${origin}/api/auth/account/name`, { form: { csrfToken, name: "Countess" } });
      assert.equal(changed.ok(), true);
      for (const data of [undefined, { theme: "dark" }]) {
        const session = await page.evaluate((given) => globalThis.update(given), data);
        assert.equal(session.user.name, "Countess");
        await page.locator("#name", { hasText: "Countess" }).waitFor();
        await status(page, "authenticated");
      }
      await context.request.post(`${origin}/api/auth/account/name`, { form: { csrfToken, name: "Ada" } });
      assert.deepEqual(page.errors, []);
      await context.close();
    });
  });
}
