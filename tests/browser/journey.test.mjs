// The main job: a person signs up, sees the protected pages, calls the API, signs out, and is locked out again.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { enter, fillSignIn, leftOut, password, signUp, startBrowser, startService } from "./service.mjs";

for (const strategy of ["jwt", "database"]) {
  describe(`with strategy ${strategy}`, { skip: leftOut }, () => {
    let service, browser, origin;
    before(async () => {
      service = await startService({ COUNTERSIGN_SESSION__STRATEGY: strategy });
      browser = await startBrowser();
      origin = service.origin;
    });
    after(async () => {
      await browser?.close();
      assert.equal(await service?.stop(), 0, "SIGTERM ends it cleanly");
    });

    for (const javaScriptEnabled of [true, false]) {
      test(`from sign-up to sign-out, JavaScript ${javaScriptEnabled ? "on" : "off"}`, async () => {
        const context = await browser.newContext({ javaScriptEnabled });
        const page = await context.newPage();
        const email = `ada-${javaScriptEnabled}@example.com`;
        await page.goto(origin);
        await page.getByText("not signed in").waitFor();
        await page.goto(`${origin}/server-side-example`);
        await page.getByRole("heading", { name: "Access Denied" }).waitFor();
        assert.equal((await context.request.get(`${origin}/api/get-session-example`)).status(), 401);
        await signUp(page, origin, email);
        await page.getByText("your account is ready").waitFor();
        await fillSignIn(page, email, "a wrong password");
        await page.getByRole("alert").getByText("is wrong").waitFor();
        await fillSignIn(page, email);
        await page.waitForURL(`${origin}/`);
        await page.getByRole("heading", { name: "Hello, Ada" }).waitFor();
        for (const path of ["/server-side-example", "/protected"]) {
          await page.goto(origin + path);
          await page.getByRole("heading", { name: "Protected Page" }).waitFor();
        }
        const session = await context.request.get(`${origin}/api/get-session-example`);
        assert.equal((await session.json()).user.email, email);
        const token = await context.request.get(`${origin}/api/get-token-example`);
        assert.equal((await token.json()).email, email);
        await page.goto(`${origin}/api/auth/signout`);
        await page.locator("main button.primary").click();
        await page.waitForURL(`${origin}/**`);
        await page.goto(origin);
        await page.getByText("not signed in").waitFor();
        assert.equal((await context.request.get(`${origin}/api/get-session-example`)).status(), 401);
        await context.close();
      });
    }

    test("a kept cookie is signed out", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await enter(page, origin, "kept@example.com");
      const cookies = await context.cookies();
      await page.locator("main form button").click();
      await page.getByText("not signed in").waitFor();
      await context.addCookies(cookies);
      await page.goto(`${origin}/protected`);
      assert.match(page.url(), /signin/);
      await context.close();
    });

    test("the wanted page is reached after signing in", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await signUp(page, origin, "wants@example.com");
      await page.goto(`${origin}/protected?a=b`);
      assert.match(page.url(), /\/api\/auth\/signin\?callbackUrl=/);
      await fillSignIn(page, "wants@example.com");
      await page.waitForURL(`${origin}/protected?a=b`);
      await context.close();
    });

    test("name, password and sessions on the account page", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await enter(page, origin, "account@example.com");
      const elsewhere = await browser.newContext();
      const other = await elsewhere.newPage();
      await other.goto(`${origin}/api/auth/signin`);
      await fillSignIn(other, "account@example.com");
      await other.waitForURL((url) => !url.pathname.includes("signin"));
      await page.goto(`${origin}/api/auth/account`);
      await page.getByLabel("Name").fill("Ada Lovelace");
      await page.getByRole("button", { name: "Save name" }).click();
      await page.getByRole("status").getByText("saved").waitFor();
      await page.getByLabel("Current password").fill("a wrong password");
      await page.getByLabel("New password").fill("another good password");
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByRole("alert").getByText("not your current password").waitFor();
      assert.equal((await elsewhere.request.get(`${origin}/api/get-session-example`)).status(), 200);
      await page.getByRole("button", { name: "End", exact: true }).click();
      await page.getByRole("status").getByText("has ended").waitFor();
      assert.equal((await elsewhere.request.get(`${origin}/api/get-session-example`)).status(), 401);
      await page.getByLabel("Current password").fill(password);
      await page.getByLabel("New password").fill("another good password");
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByRole("status").getByText("changed").waitFor();
      await context.close();
      await elsewhere.close();
    });
  });
}
