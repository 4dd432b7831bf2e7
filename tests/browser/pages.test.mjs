// Every page in every state: accessible in either theme, translated, usable on a phone and by keyboard, and clean under the
// strict policy.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAcme } from "./acme.mjs";
import { inspect, inspectWords } from "./inspect.mjs";
import { fillSignIn, leftOut, signUp, startBrowser, startService } from "./service.mjs";
import { invite, stops, variants } from "./tour.mjs";

describe("pages", { skip: leftOut, timeout: 1_800_000 }, () => {
  let acme, service, browser, origin, people;
  before(async () => {
    acme = await startAcme();
    service = await startService({ ...acme.settings, COUNTERSIGN_LIMITS__MAILS_PER_ADDRESS: "1000" });
    browser = await startBrowser();
    origin = service.origin;
    people = await invite(browser, service);
  });
  after(async () => {
    await browser?.close();
    await service?.stop();
    await acme?.stop();
  });

  /** Goes to every stop, and says what is wrong with what is shown there. */
  async function visit(list, locale, look) {
    const found = [];
    const browsers = new Map();
    for (const [name, who, how, kept = {}] of list) {
      // Who is half-way in, or was mailed a code, has cookies that nobody else has.
      const alone = who === "nobody" && typeof how !== "string";
      const known = alone ? undefined : browsers.get(who);
      const { context, page, complaints } = known ?? await open(who, locale);
      if (!alone) browsers.set(who, { context, page, complaints });
      complaints.length = 0;
      if (typeof how === "string") await page.goto(origin + how);
      else await how(page, origin, locale);
      await page.locator("[data-when=loading]").waitFor({ state: "hidden" });
      // The browser itself notes every answer that is no success.
      const wrong = complaints.filter((text) => !text.startsWith("Failed to load resource"));
      for (const [field, value] of Object.entries(kept)) {
        const shown = await page.locator(`#${field}`).inputValue();
        if (shown !== value) wrong.push(`#${field} holds ${shown}`);
      }
      wrong.push(...await look(page, { name, locale }));
      found.push(...wrong.map((text) => `${name}: ${text}`));
      if (alone) await context.close();
    }
    for (const { context } of browsers.values()) await context.close();
    return found;
  }

  async function open(who, locale) {
    const context = await browser.newContext({ locale, storageState: people[who], reducedMotion: "reduce" });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(`${error}`));
    return { context, page, complaints };
  }

  for (const locale of ["en", "ko"]) {
    test(`every page in every state is fit for everybody, ${locale}`, async () => {
      assert.deepEqual(await visit(stops, locale, inspect), []);
    });

    test(`whatever a page says fits, ${locale}`, async () => {
      assert.deepEqual(await visit(variants, locale, inspectWords), []);
    });
  }

  test("every page sends the strict policy", async () => {
    for (const [name, who, where] of stops.filter(([, , where]) => typeof where === "string")) {
      const context = await browser.newContext({ storageState: people[who] });
      const answer = await context.request.get(origin + where, { headers: { accept: "text/html" } });
      const policy = answer.headers()["content-security-policy"];
      assert.ok(policy?.includes("default-src 'none'") && !policy.includes("unsafe"), name);
      await context.close();
    }
  });

  test("by keyboard alone", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await signUp(page, origin, "keys@example.com");
    await page.goto(`${origin}/api/auth/signin`);
    await page.locator("#email").focus();
    await page.keyboard.type("keys@example.com");
    await page.keyboard.press("Tab");
    await page.keyboard.type("correct horse battery");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => !url.pathname.includes("signin"));
    await context.close();
  });

  test("the language switch is remembered, and leads back from the answer to a form", async () => {
    const context = await browser.newContext({ locale: "en" });
    const page = await context.newPage();
    await page.goto(`${origin}/server-side-example`);
    await page.getByRole("button", { name: "한국어" }).click();
    await page.waitForURL(`${origin}/server-side-example`);
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    const another = await context.newPage();
    await another.goto(`${origin}/api/auth/signin`);
    await another.getByLabel("비밀번호").waitFor();
    await fillSignIn(another, "nobody@example.com", "a wrong password");
    await another.getByRole("alert").waitFor();
    await another.getByRole("button", { name: "English" }).click();
    await another.waitForURL(`${origin}/api/auth/signin`);
    await another.getByLabel("Password").waitFor();
    await context.close();
  });
});

describe("a service that is too busy", { skip: leftOut, timeout: 120_000 }, () => {
  for (const locale of ["en", "ko"]) {
    test(`says so and how to go on, ${locale}`, async () => {
      const slow = { MEMORY_KIB: "65536", ITERATIONS: "60" };
      const service = await startService(Object.fromEntries(
        [["QUEUE", "0"], ...Object.entries(slow).map(([key, value]) => [`ARGON2__${key}`, value])]
          .map(([key, value]) => [`COUNTERSIGN_PROVIDERS__CREDENTIALS__${key}`, value]),
      ));
      const browser = await startBrowser();
      try {
        const context = await browser.newContext({ locale });
        const page = await context.newPage();
        await page.goto(`${service.origin}/api/auth/signin?callbackUrl=/protected`);
        const csrfToken = await page.locator("input[name=csrfToken]").first().inputValue();
        const others = Array.from({ length: 64 }, () => context.request.post(
          `${service.origin}/api/auth/callback/credentials`,
          { form: { csrfToken, email: "nobody@example.com", password: "a wrong password" }, timeout: 0 },
        ).catch(() => {}));
        // As soon as one of them is turned away, all cores are busy.
        await Promise.race(others);
        const answer = page.waitForResponse((response) => response.request().method() === "POST");
        await fillSignIn(page, "nobody@example.com");
        assert.equal((await answer).status(), 503);
        assert.deepEqual(await inspect(page, { name: "unavailable", locale }), []);
        assert.equal(await page.locator("main a.primary").getAttribute("href"), `${service.origin}/api/auth/signin?callbackUrl=/protected`);
        await context.close();
      } finally {
        await browser.close();
        await service.stop();
      }
    });
  }
});
