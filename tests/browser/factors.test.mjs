// Second factors in a real browser: a passkey of Chromium's own virtual authenticator, and codes without a script.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { enter, fillSignIn, leftOut, startBrowser, startService } from "./service.mjs";
import { addAuthenticator, codeOf, confirmAddress } from "./tour.mjs";

const signOut = async (page, origin) => {
  await page.goto(`${origin}/api/auth/signout?callbackUrl=/`);
  await page.locator("main form button").first().click();
  await page.waitForURL(`${origin}/`);
};

const signInByPassword = async (page, origin, email) => {
  await page.goto(`${origin}/api/auth/signin?callbackUrl=/protected`);
  await fillSignIn(page, email);
};

describe("second factors", { skip: leftOut }, () => {
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

  test("a passkey is added, is the second proof, and the only way in", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const { devtools, authenticatorId } = await addAuthenticator(page);
    const email = "passkey@example.com";
    await enter(page, origin, email);
    await page.goto(`${origin}/api/auth/account/security`);
    assert.equal(await page.getByRole("button", { name: "Add a passkey" }).count(), 0, "the address comes first");
    await page.getByRole("button", { name: "Confirm this address" }).click();
    await page.waitForURL(/notice=verification_sent/);
    await confirmAddress(page, origin, email);
    await page.goto(`${origin}/api/auth/account/security`);
    await page.getByLabel("Name (optional)").fill("My laptop");
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await page.locator(".codes code").first().waitFor();
    assert.equal(await page.locator(".codes code").count(), 10);
    await page.goto(`${origin}/api/auth/account/security`);
    assert.match(await page.locator("main").innerText(), /My laptop/);
    const { credentials } = await devtools.send("WebAuthn.getCredentials", { authenticatorId });
    assert.equal(credentials.length, 1);

    // Nobody touches the authenticator: the sign-in page would be left by itself.
    const touch = (enabled) => devtools.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled });
    await touch(false);
    await signOut(page, origin);
    await signInByPassword(page, origin, email);
    await page.waitForURL(/\/factor$/);
    await touch(true);
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await page.waitForURL(`${origin}/protected`);

    await signOut(page, origin);
    await page.goto(`${origin}/api/auth/signin?callbackUrl=/protected`);
    // Offered in the field, and touched at once: nothing is typed and nothing clicked.
    await page.waitForURL(`${origin}/protected`);
    await context.close();
  });

  test("an authenticator that says no is no way in", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${origin}/api/auth/signin`);
    await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor();
    await addAuthenticator(page, false);
    await page.getByRole("button", { name: "Sign in with a passkey" }).click();
    await page.locator("[data-passkey-error]").first().waitFor({ state: "visible" });
    assert.match(page.url(), /signin/);
    await context.close();
  });

  test("codes from an app, without a script", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    const email = "codes@example.com";
    await enter(page, origin, email);
    await confirmAddress(page, origin, email);
    await page.goto(`${origin}/api/auth/account/security`);
    await page.getByRole("link", { name: "Set up codes from an app" }).click();
    assert.ok(await page.locator(".qr svg").isVisible());
    const secret = await page.locator("code.secret").innerText();
    await page.getByRole("textbox", { name: "Code" }).fill(codeOf(secret));
    await page.getByRole("button", { name: "Switch on" }).click();
    const recovery = await page.locator(".codes code").first().innerText();

    await signOut(page, origin);
    await signInByPassword(page, origin, email);
    await page.waitForURL(/\/factor$/);
    await page.getByRole("textbox", { name: "Code" }).fill("000000");
    await page.getByRole("button", { name: "Continue" }).click();
    assert.match(await page.getByRole("alert").first().innerText(), /wrong/);
    await page.getByRole("textbox", { name: "Code" }).fill(codeOf(secret, 1));
    await page.getByRole("button", { name: "Continue" }).click();
    await page.waitForURL(`${origin}/protected`);

    await signOut(page, origin);
    await signInByPassword(page, origin, email);
    await page.getByRole("textbox", { name: "Code" }).fill(recovery);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.waitForURL(`${origin}/protected`);
    await context.close();
  });
});
