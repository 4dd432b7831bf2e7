// Every page: accessible in either theme, usable on a phone and by keyboard, and clean under the strict policy.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { enter, leftOut, signUp, startBrowser, startService } from "./service.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;

describe("pages", { skip: leftOut }, () => {
  let service, browser, origin, signedIn;
  before(async () => {
    service = await startService();
    browser = await startBrowser();
    origin = service.origin;
    const context = await browser.newContext();
    const page = await context.newPage();
    await enter(page, origin, "pages@example.com");
    const second = await browser.newContext();
    const other = await second.newPage();
    await other.goto(`${origin}/api/auth/signin`);
    await other.getByLabel("E-mail").fill("pages@example.com");
    await other.getByLabel("Password").fill("correct horse battery");
    await other.locator("main button.primary").click();
    await other.waitForURL((url) => !url.pathname.includes("signin"));
    signedIn = await context.storageState();
  });
  after(async () => {
    await browser?.close();
    await service?.stop();
  });

  const anonymous = [
    "/", "/api/auth/signin", "/api/auth/signin?error=CredentialsSignin", "/api/auth/signin?notice=signed_up",
    "/api/auth/signup", "/api/auth/signout", "/api/auth/error?error=AccessDenied", "/api/auth/verify-request",
    "/server-side-example", "/client-side-example", "/nowhere",
  ];
  const personal = [
    "/", "/api/auth/account", "/api/auth/account/security", "/api/auth/account/security/totp", "/api/auth/account/tokens",
    "/api/auth/signout", "/server-side-example", "/client-side-example", "/protected",
  ];

  for (const colorScheme of ["light", "dark"]) {
    for (const locale of ["en", "ko"]) {
      for (const [who, paths] of [["anonymous", anonymous], ["signed in", personal]]) {
        test(`no violation, ${who}, ${colorScheme}, ${locale}`, async () => {
          const storageState = who === "signed in" ? signedIn : undefined;
          const context = await browser.newContext({ colorScheme, locale, storageState, bypassCSP: true });
          const page = await context.newPage();
          for (const path of paths) {
            await page.goto(origin + path);
            if (path === "/client-side-example") await page.locator("[data-when=loading]").waitFor({ state: "hidden" });
            assert.equal(await page.locator("html").getAttribute("lang"), locale, path);
            await page.evaluate(axe);
            const { violations } = await page.evaluate(() => globalThis.axe.run());
            const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
            assert.deepEqual(found, [], path);
            if (shots) {
              mkdirSync(shots, { recursive: true });
              const name = `${who}-${colorScheme}-${locale}-${path.replaceAll(/[^a-z]+/gi, "-")}.png`;
              await page.screenshot({ path: join(shots, name), fullPage: true });
            }
          }
          await context.close();
        });
      }
    }
  }

  test("a form with mistakes says so and is accessible", async () => {
    const context = await browser.newContext({ bypassCSP: true, javaScriptEnabled: true });
    const page = await context.newPage();
    await page.goto(`${origin}/api/auth/signup`);
    await page.getByLabel("E-mail").fill("mistakes@example.com");
    await page.getByLabel("Password").fill("password");
    await page.locator("main button.primary").click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByLabel("Password").getAttribute("aria-invalid"), "true");
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map(({ id }) => id), []);
    if (shots) await page.screenshot({ path: join(shots, "mistakes.png"), fullPage: true });
    await context.close();
  });

  test("nothing scrolls sideways at 320 px", async () => {
    const viewport = { width: 320, height: 640 };
    for (const [storageState, paths] of [[undefined, anonymous], [signedIn, personal]]) {
      const context = await browser.newContext({ viewport, storageState });
      const page = await context.newPage();
      for (const path of paths) {
        await page.goto(origin + path);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${path} is ${wide} px too wide`);
        if (shots && path.includes("sign")) {
          await page.screenshot({ path: join(shots, `phone-${path.replaceAll(/[^a-z]+/gi, "-")}.png`), fullPage: true });
        }
      }
      await context.close();
    }
  });

  test("the policy is never violated and nothing is complained about", async () => {
    for (const [storageState, paths] of [[undefined, anonymous], [signedIn, personal]]) {
      const context = await browser.newContext({ storageState });
      const page = await context.newPage();
      const complaints = [];
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(`${error}`));
      for (const path of paths) {
        const answer = await page.goto(origin + path);
        const policy = answer.headers()["content-security-policy"];
        assert.ok(policy?.includes("default-src 'none'") && !policy.includes("unsafe"), path);
        // The browser itself notes every answer that is no success.
        const own = complaints.filter((text) => !text.startsWith("Failed to load resource"));
        assert.deepEqual(own, [], path);
      }
      await context.close();
    }
  });

  test("by keyboard alone", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await signUp(page, origin, "keys@example.com");
    await page.goto(`${origin}/api/auth/signin`);
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);
    const order = [];
    for (let step = 0; step < 8; step += 1) {
      await page.keyboard.press("Tab");
      order.push(await focused());
    }
    const places = ["skip", "email", "password", "primary"].map((name) => order.indexOf(name));
    assert.ok(places.every((place, index) => place >= 0 && (index === 0 || place > places[index - 1])), `${order}`);
    await page.locator("#email").focus();
    await page.keyboard.type("keys@example.com");
    await page.keyboard.press("Tab");
    await page.keyboard.type("correct horse battery");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => !url.pathname.includes("signin"));
    await context.close();
  });

  test("the language switch is remembered", async () => {
    const context = await browser.newContext({ locale: "en" });
    const page = await context.newPage();
    await page.goto(`${origin}/server-side-example`);
    await page.getByRole("button", { name: "한국어" }).click();
    await page.waitForURL(`${origin}/server-side-example`);
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    const another = await context.newPage();
    await another.goto(`${origin}/api/auth/signin`);
    await another.getByLabel("비밀번호").waitFor();
    await context.close();
  });
});
