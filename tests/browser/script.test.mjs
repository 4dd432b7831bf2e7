// The client-side example: three states, two tabs, and what a failing network must not do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { enter, fillSignIn, leftOut, startBrowser, startService } from "./service.mjs";

test("the client script is under 4 KB compressed", () => {
  const script = readFileSync(new URL("../../static/countersign.js", import.meta.url));
  assert.ok(gzipSync(script).length < 4096);
});

describe("the client script", { skip: leftOut }, () => {
  let service, browser, origin;
  before(async () => {
    service = await startService();
    browser = await startBrowser();
    origin = service.origin;
  });
  after(async () => {
    await browser?.close();
    await service?.stop();
  });

  const heading = (page, name) => page.getByRole("heading", { name }).waitFor();

  test("loading, then denied, then the page and its data", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    await page.route("**/static/client-side-example.js", async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${origin}/client-side-example`, { waitUntil: "commit" });
    await heading(page, "Loading");
    release();
    await heading(page, "Access Denied");
    await enter(page, origin, "script@example.com");
    await page.goto(`${origin}/client-side-example`);
    await heading(page, "Protected Page");
    await page.locator("[data-content]").getByText("script@example.com").waitFor();
    await page.locator("[data-action=sign-out]").click();
    await heading(page, "Access Denied");
    assert.equal((await context.request.get(`${origin}/api/get-session-example`)).status(), 401);
    await context.close();
  });

  test("a sign-out in one tab reaches the other, and so does a sign-in by the script", async () => {
    const context = await browser.newContext();
    const [one, two] = [await context.newPage(), await context.newPage()];
    await enter(one, origin, "tabs@example.com");
    for (const page of [one, two]) {
      await page.goto(`${origin}/client-side-example`);
      await heading(page, "Protected Page");
    }
    await one.locator("[data-action=sign-out]").click();
    await heading(two, "Access Denied");
    const result = await one.evaluate(async (client) => {
      const { signIn } = await import(client);
      const wrong = await signIn("credentials", { email: "tabs@example.com", password: "wrong one", redirect: false });
      const right = await signIn("credentials", {
        email: "tabs@example.com", password: "correct horse battery", redirect: false,
      });
      return { wrong, right };
    }, "/api/auth/assets/countersign.js");
    assert.deepEqual(result.wrong, { error: "CredentialsSignin", status: 401, ok: false, url: null });
    assert.equal(result.right.ok, true);
    assert.equal(result.right.error, null);
    await context.close();
  });

  test("a failing session request signs nobody out", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await enter(page, origin, "network@example.com");
    await page.goto(`${origin}/client-side-example`);
    await heading(page, "Protected Page");
    for (const answer of [{ status: 503, body: "{}" }, null]) {
      await page.route("**/api/auth/session", (route) => (answer ? route.fulfill(answer) : route.abort()));
      const states = await page.evaluate(async (client) => {
        const { subscribe } = await import(client);
        const seen = [];
        subscribe(({ status }) => seen.push(status));
        document.dispatchEvent(new Event("visibilitychange"));
        await new Promise((resolve) => setTimeout(resolve, 300));
        return seen;
      }, await page.locator("#example").getAttribute("data-client"));
      assert.deepEqual([...new Set(states)], ["authenticated"]);
    }
    await context.close();
  });

  for (const [how, options] of [["on an interval", { refetchInterval: 1, refetchOnFocus: false }], ["on focus", {}]]) {
    test(`a sign-out elsewhere is noticed ${how}`, async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await enter(page, origin, `again-${how.replaceAll(" ", "-")}@example.com`);
      await page.evaluate(async ([client, wishes]) => {
        const { subscribe } = await import(client);
        globalThis.seen = [];
        subscribe(({ status }) => globalThis.seen.push(status), wishes);
      }, ["/api/auth/assets/countersign.js", options]);
      // Not by this script and not in a tab: nobody tells the page.
      const { csrfToken } = await (await context.request.get(`${origin}/api/auth/csrf`)).json();
      const answer = await context.request.post(`${origin}/api/auth/signout`, { form: { csrfToken, json: "true" } });
      assert.equal(answer.status(), 200);
      if (how === "on focus") await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await page.waitForFunction(() => globalThis.seen.at(-1) === "unauthenticated");
      assert.deepEqual(await page.evaluate(() => globalThis.seen), ["authenticated", "unauthenticated"]);
      await context.close();
    });
  }

  test("the functions of the module", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${origin}/client-side-example`);
    await heading(page, "Access Denied");
    const found = await page.evaluate(async (client) => {
      const { getCsrfToken, getProviders, getSession } = await import(client);
      return { token: await getCsrfToken(), providers: Object.keys(await getProviders()), session: await getSession() };
    }, "/api/auth/assets/countersign.js");
    assert.match(found.token, /^[0-9a-f]{64}$/);
    assert.deepEqual(found.providers, ["credentials", "email"]);
    assert.equal(found.session, null);
    await page.evaluate(async (client) => { (await import(client)).signIn(); }, "/api/auth/assets/countersign.js");
    await page.waitForURL(/signin\?callbackUrl=/);
    await fillSignIn(page, "nobody@example.com");
    await page.getByRole("alert").waitFor();
    await context.close();
  });
});
