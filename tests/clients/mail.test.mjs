// Mail over a real SMTP server: the letters as they arrive, signing in by them in Chromium and by NextAuth's own browser
// clients, and everything that must not be sent.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { leftOut, password, signUp, startBrowser, startService } from "../browser/service.mjs";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "../browser/service.mjs";
import { account, codeIn, linkIn, startMailbox } from "./mailbox.mjs";
import { bundle, serve } from "./pages/serve.mjs";

const session = async (context, origin) => (await context.request.get(`${origin}/api/auth/session`)).json();

/** A program that asks for a link, as a page's script does. */
async function ask(origin, email, path = "signin/email") {
  const first = await fetch(`${origin}/api/auth/csrf`);
  const cookie = first.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
  const { csrfToken } = await first.json();
  return fetch(`${origin}/api/auth/${path}`, {
    method: "POST", headers: { cookie }, body: new URLSearchParams({ csrfToken, email, json: "true" }), redirect: "manual",
  });
}

/** Waits for the log to say something. */
async function logged(service, pattern) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (pattern.test(service.output())) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`the log does not say ${pattern}: ${service.output()}`);
}

/** What `countersign check` says with these settings. */
async function check(settings) {
  const folder = mkdtempSync(join(tmpdir(), "countersign-check-"));
  const env = { PATH: process.env.PATH, COUNTERSIGN_SECRET: `s${"0123456789abcdef".repeat(3)}`, ...settings };
  const said = await new Promise((resolve) => {
    execFile(program, ["check"], { cwd: folder, env }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }));
  });
  rmSync(folder, { recursive: true, force: true });
  return said;
}

for (const implicit of [false, true]) {
  describe(`mail by a server that speaks ${implicit ? "TLS" : "STARTTLS"}`, { skip: leftOut, timeout: 240_000 }, () => {
    let mailbox, service, browser, origin;
    before(async () => {
      mailbox = await startMailbox({ implicit });
      service = await startService(mailbox.settings);
      browser = await startBrowser();
      origin = service.origin;
    });
    after(async () => {
      await browser?.close();
      await service?.stop();
      await mailbox?.stop();
    });

    test("the link signs in on a phone, the code in the browser that asked, each once", async () => {
      const desk = await browser.newContext({ javaScriptEnabled: false });
      const page = await desk.newPage();
      const askFor = async () => {
        await page.goto(`${origin}/api/auth/signin?callbackUrl=/protected`);
        await page.getByLabel("E-mail").fill("Grace@Example.com");
        await page.getByRole("button", { name: "E-mail me a link" }).click();
        await page.waitForURL(/verify-request/);
        return mailbox.take("grace@example.com", "Sign in to Countersign");
      };
      const byLink = await askFor();
      const phone = await browser.newContext({ javaScriptEnabled: false });
      const tab = await phone.newPage();
      await tab.goto(linkIn(byLink));
      assert.deepEqual(await session(phone, origin), {});
      await tab.getByRole("button", { name: "Sign in" }).click();
      await tab.waitForURL(`${origin}/protected`);
      assert.equal((await session(phone, origin)).user.email, "grace@example.com");
      assert.deepEqual(await session(desk, origin), {});
      await tab.goto(linkIn(byLink));
      await tab.getByRole("button", { name: "Sign in" }).click();
      await tab.getByText("used already").waitFor();

      const byCode = await askFor();
      await page.getByLabel("Code from the mail").fill("00000000");
      await page.getByRole("button", { name: /code/ }).click();
      await page.getByText("not the code").first().waitFor();
      await page.getByLabel("Code from the mail").fill(codeIn(byCode));
      await page.getByRole("button", { name: /code/ }).click();
      await page.waitForURL(`${origin}/protected`);
      assert.equal((await session(desk, origin)).user.email, "grace@example.com");
      await desk.close();
      await phone.close();
    });

    test("a letter as it arrives: headers, both bodies, both languages", async () => {
      for (const [locale, subject, words] of [
        ["en-GB", "Sign in to Countersign", "wants to sign in"], ["ko-KR", "Countersign 로그인", "로그인하려고 합니다"],
      ]) {
        const context = await browser.newContext({ locale });
        const page = await context.newPage();
        await page.goto(`${origin}/api/auth/signin`);
        await page.getByLabel(/E-mail|이메일/).fill("kim@example.com");
        await page.locator("button[formaction]").click();
        await page.waitForURL(/verify-request/);
        const got = await mailbox.take("kim@example.com", subject);
        const { mail } = got;
        assert.equal(mail.from.text, '"Fröhlich & Söhne" <no-reply@example.com>');
        assert.equal(mail.to.text, "kim@example.com");
        assert.deepEqual([mail.cc, mail.bcc, mail.attachments.length], [undefined, undefined, 0]);
        assert.match(mail.messageId, /^<[0-9a-f]{32}@example\.com>$/);
        assert.ok(Math.abs(Date.now() - mail.date) < 120_000, `${mail.date}`);
        assert.equal(mail.headers.get("auto-submitted"), "auto-generated");
        assert.equal(mail.headers.get("content-type").value, "multipart/alternative");
        assert.ok(got.source.split("\r\n").every((line) => Buffer.byteLength(line) <= 998), "RFC 5322, section 2.1.1");
        assert.deepEqual(got.envelope.rcptTo.map(({ address }) => address), ["kim@example.com"]);
        assert.equal(got.envelope.mailFrom.address, "no-reply@example.com");
        assert.equal(got.secure, true);
        for (const body of [mail.text, mail.html]) assert.ok(body.includes(words), body);
        assert.match(codeIn(got), /^\d{8}$/);
        // The HTML, as a reader of mail shows it: the same link and the same code, nothing loaded, no script.
        const reader = await context.newPage();
        const loaded = [];
        reader.on("request", (request) => { if (!request.url().startsWith("data:")) loaded.push(request.url()); });
        await reader.setContent(mail.html);
        assert.equal(await reader.locator("a").count(), 1);
        assert.equal(await reader.locator("a").getAttribute("href"), linkIn(got));
        const shown = await reader.locator("body").innerText();
        assert.ok(shown.includes(`${codeIn(got).slice(0, 4)} ${codeIn(got).slice(4)}`), shown);
        assert.equal(await reader.locator("html").getAttribute("lang"), locale.slice(0, 2));
        assert.equal(await reader.locator("script").count(), 0);
        assert.deepEqual(loaded, []);
        await context.close();
      }
    });

    test("a forgotten password, and the notice of the new one", async () => {
      const context = await browser.newContext({ javaScriptEnabled: false });
      const page = await context.newPage();
      await signUp(page, origin, "ada@example.com");
      await mailbox.take("ada@example.com", "Confirm your address");
      await page.goto(`${origin}/api/auth/forgot-password`);
      await page.getByLabel("E-mail").fill("ada@example.com");
      await page.locator("main button.primary").click();
      await page.goto(linkIn(await mailbox.take("ada@example.com", "Choose a new password")));
      await page.getByLabel(/password/i).fill(`another ${password}`);
      await page.locator("main button.primary").click();
      await page.waitForURL(/signin\?notice=password_reset/);
      const { mail } = await mailbox.take("ada@example.com", "A new password was chosen");
      for (const body of [mail.text, mail.html]) {
        assert.match(body, /\d{4}-\d\d-\d\d \d\d:\d\d UTC/);
        assert.ok(!body.includes("token=") && !body.includes("<a "), body);
      }
      await context.close();
    });

    test("`countersign check` says that mail can be sent", async () => {
      const said = await check(mailbox.settings);
      assert.deepEqual([said.code, /in order/.test(said.text)], [0, true], said.text);
    });

    test("the mail server's password is said over TLS only, and nothing secret is logged", () => {
      assert.ok(mailbox.seen.logins.length > 0 && mailbox.seen.refused === 0);
      assert.ok(mailbox.seen.logins.every(({ username, secure }) => secure && username === account.user));
      assert.ok(!service.output().includes(account.password));
      assert.ok(!service.output().includes("token="), service.output());
    });
  });
}

for (const [generation, format, strategy] of [
  ["v3", "nextauth-v3", "jwt"], ["v4", "nextauth-v4", "database"], ["v5", "authjs-v5", "jwt"],
]) {
  test(`the client of ${generation} signs in by mail`, { skip: leftOut, timeout: 120_000 }, async () => {
    const mailbox = await startMailbox();
    const service = await startService({
      ...mailbox.settings, COUNTERSIGN_JWT__FORMAT: format, COUNTERSIGN_SESSION__STRATEGY: strategy,
    });
    const browser = await startBrowser();
    try {
      const { origin } = service;
      const context = await browser.newContext();
      await serve(context, origin, await bundle(generation));
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(`${error}`));
      await page.goto(`${origin}/app/`);
      await page.locator("#status", { hasText: /^unauthenticated$/ }).waitFor();
      const providers = await page.evaluate(() => globalThis.client.getProviders());
      assert.equal(providers.email.type, "email");
      const signIn = (email) => page.evaluate(
        (address) => globalThis.client.signIn("email", { email: address, redirect: false, callbackUrl: "/app/after" }), email,
      );
      const wrong = await signIn("nobody");
      assert.equal(wrong.error, "EmailSignin");
      assert.equal(wrong.ok, false);
      assert.equal(wrong.url, null);
      const fine = await signIn("Grace@Example.com");
      assert.equal(fine.ok, true);
      assert.equal(fine.status, 200);
      assert.ok(fine.error === undefined || fine.error === null);
      assert.equal(fine.url, `${origin}/api/auth/verify-request?provider=email&type=email`);
      assert.equal(await page.locator("#status").textContent(), "unauthenticated");
      // The link from the mail, in a tab of the same browser.
      const tab = await context.newPage();
      await tab.goto(linkIn(await mailbox.take("grace@example.com", "Sign in")));
      await tab.getByRole("button", { name: "Sign in" }).click();
      await tab.waitForURL(`${origin}/app/after`);
      await page.evaluate(() => globalThis.client.getSession());
      await page.reload();
      await page.locator("#status", { hasText: /^authenticated$/ }).waitFor();
      assert.equal(await page.locator("#email").textContent(), "grace@example.com");
      // Without `redirect: false` the client goes to the page that says what to do.
      await page.evaluate(() => { globalThis.client.signIn("email", { email: "grace@example.com" }); });
      await page.waitForURL(/\/api\/auth\/verify-request/);
      await page.getByRole("heading", { name: "Check your e-mail" }).waitFor();
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
      await service.stop();
      await mailbox.stop();
    }
  });
}

describe("what is not sent", { timeout: 240_000 }, () => {
  for (const [what, options, change, pattern] of [
    ["a certificate for another name", { certificate: "elsewhere" }, {}, /certificate is not accepted.*not valid for name/],
    ["a certificate for another name, TLS from the first byte", { certificate: "elsewhere", implicit: true }, {},
      /certificate is not accepted.*not valid for name/],
    ["a certificate that no known authority vouches for", {}, { COUNTERSIGN_PROVIDERS__EMAIL__CA: undefined },
      /certificate is not accepted.*UnknownIssuer/],
    ["STARTTLS that somebody on the way took out", { stripped: true }, {}, /offers no STARTTLS, and nothing is sent in clear text/],
    ["a password that the mail server refuses", {}, { COUNTERSIGN_PROVIDERS__EMAIL__PASSWORD: "the wrong one" },
      /does not let this program in; check providers\.email\.user and providers\.email\.password.*535/],
  ]) {
    test(what, async () => {
      const mailbox = await startMailbox(options);
      const settings = { ...mailbox.settings, ...change };
      for (const [name, value] of Object.entries(settings)) if (value === undefined) delete settings[name];
      const service = await startService(settings);
      try {
        // The person is not kept waiting by it, and is told no more than anybody.
        const answer = await ask(service.origin, "ada@example.com");
        assert.equal(answer.status, 200);
        assert.match((await answer.json()).url, /verify-request/);
        await logged(service, pattern);
        // The command that looks before the start says the same.
        const said = await check(settings);
        assert.notEqual(said.code, 0);
        assert.match(said.text, pattern);
        assert.deepEqual(mailbox.mails, []);
        assert.ok(mailbox.seen.connections > 0, "the control: it was asked");
        assert.ok(mailbox.seen.logins.every(({ secure }) => secure), "no password in clear text");
        if (!change.COUNTERSIGN_PROVIDERS__EMAIL__PASSWORD) assert.deepEqual(mailbox.seen.logins, []);
        assert.ok(!service.output().includes("the wrong one"));
        assert.equal((await fetch(`${service.origin}/readyz`)).status, 200, "everything else goes on");
      } finally {
        await service.stop();
        await mailbox.stop();
      }
    });
  }

  test("a mail server that was away gets the letter when it is back", async () => {
    const first = await startMailbox();
    await first.leave();
    const service = await startService(first.settings);
    let back;
    try {
      assert.equal((await ask(service.origin, "ada@example.com")).status, 200);
      assert.equal((await ask(service.origin, "nobody@example.com", "forgot-password")).status, 200);
      await logged(service, /a letter is tried again/);
      back = await startMailbox({ port: first.port });
      await back.take("ada@example.com", "Sign in to Countersign", 60_000);
      assert.deepEqual(back.mails, [], "who has no account is written to by nobody");
    } finally {
      await service.stop();
      await back?.stop();
      await first.stop();
    }
  });

  test("nobody waits for the mail server, with an account or without", async () => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const mailbox = await startMailbox({ held });
    const service = await startService({ ...mailbox.settings, COUNTERSIGN_PROVIDERS__EMAIL__SIGN_UP: "false" });
    try {
      const first = await fetch(`${service.origin}/api/auth/csrf`);
      const cookie = first.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
      const { csrfToken } = await first.json();
      const account = { csrfToken, email: "ada@example.com", password, name: "Ada" };
      const made = await fetch(`${service.origin}/api/auth/signup`, {
        method: "POST", headers: { cookie, "content-type": "application/json" }, body: JSON.stringify(account),
      });
      assert.equal(made.status, 200);
      // The server has a letter in its hands and says nothing: these are answered all the same, and alike.
      const answers = [];
      for (const email of ["ada@example.com", "nobody@example.com"]) {
        for (const path of ["signin/email", "forgot-password"]) {
          const answer = await ask(service.origin, email, path);
          answers.push([path, answer.status, await answer.text()]);
        }
      }
      assert.deepEqual(answers.slice(0, 2), answers.slice(2));
      assert.ok(answers.every(([, status]) => status === 200));
      assert.deepEqual(mailbox.mails, []);
      release();
      await mailbox.take("ada@example.com", "Sign in", 60_000);
      await mailbox.take("ada@example.com", "Choose a new password", 60_000);
      assert.ok(!mailbox.mails.some(({ mail }) => mail.to.text === "nobody@example.com"));
    } finally {
      release();
      await service.stop();
      await mailbox.stop();
    }
  });
});
