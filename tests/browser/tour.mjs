// Every page of the service in every state it has, and how to get there.
import { createHmac } from "node:crypto";
import { enter, fillSignIn, password, signUp } from "./service.mjs";

/** RFC 6238: the code of a base32 secret, now or so many steps later. */
export const codeOf = (base32, later = 0) => {
  const bits = [...base32].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const hash = createHmac("sha1", key).update(counter).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
};

/** An authenticator of Chromium's own, which always says yes. */
export async function addAuthenticator(page, isUserVerified = true) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable", { enableUI: false });
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified, automaticPresenceSimulation: true,
    },
  });
  return { devtools, authenticatorId };
}

/** The link of the newest mail to an address, from the outbox, once there is one that leads to this page. */
export async function newestLink(page, origin, email, leadsTo = "") {
  for (let round = 0; round < 100; round += 1) {
    await page.goto(`${origin}/api/auth/outbox`);
    const mails = page.locator("main article", { hasText: email, has: page.getByRole("link") });
    const link = (await mails.count()) ? await mails.first().getByRole("link").getAttribute("href") : "";
    if (link && link.includes(leadsTo)) return link;
    await page.waitForTimeout(100);
  }
  throw new Error(`no mail to ${email} leads to ${leadsTo}`);
}

/** Confirms the address of the person signed in, by the mail that came when they signed up. */
export async function confirmAddress(page, origin, email) {
  await page.goto(await newestLink(page, origin, email, "verify-email"));
  await page.locator("main button.primary").click();
  await page.waitForURL(/notice=email_verified/);
}

const longAddress = `${"a-very-long-local-part.".repeat(2)}of-an-address@${"a-long-subdomain.".repeat(3)}example.com`;
const submit = (page, name) => page.locator(`main form[action$="${name}"] button`).first().click();
const auth = "/api/auth";

/** The people whose pages these are, each as a browser that is signed in. */
export async function invite(browser, service) {
  const { origin } = service;
  const people = {};
  const arrive = async (who, email, then = async () => {}) => {
    const context = await browser.newContext({ locale: "en" });
    const page = await context.newPage();
    await enter(page, origin, email);
    await then(page);
    people[who] = await context.storageState();
    await context.close();
  };
  await arrive("member", "ada@example.com", async (page) => {
    await confirmAddress(page, origin, "ada@example.com");
    await page.goto(`${origin}${auth}/account`);
    await page.getByRole("button", { name: "Link Acme" }).click();
    await page.waitForURL(`${origin}${auth}/account`);
    const elsewhere = await browser.newContext({ userAgent: `a-script/${"1.".repeat(60)}` });
    const other = await elsewhere.newPage();
    await other.goto(`${origin}${auth}/signin`);
    await fillSignIn(other, "ada@example.com");
    await other.waitForURL((url) => !url.pathname.includes("signin"));
    await elsewhere.close();
    await makeToken(page, origin, "A backup script with a name that does not end before the line does");
  });
  await arrive("long", longAddress);
  await arrive("guarded", "guarded@example.com", async (page) => {
    await confirmAddress(page, origin, "guarded@example.com");
    await page.goto(`${origin}${auth}/account/security/totp`);
    await page.locator("#code").fill(codeOf(await page.locator("code.secret").innerText()));
    await submit(page, "/totp");
    await page.locator(".codes").waitFor();
    await addPasskey(page, origin, "Work phone");
  });
  await arrive("keyed", "keyed@example.com", async (page) => {
    await confirmAddress(page, origin, "keyed@example.com");
    await addPasskey(page, origin, "");
  });
  await arrive("admin", "admin@example.com", () => service.run("user", "role", "grant", "admin@example.com", "admin"));
  const context = await browser.newContext({ locale: "en" });
  const page = await context.newPage();
  await page.goto(`${origin}${auth}/signin`);
  await page.locator("#email").fill("newcomer@example.com");
  await page.locator("button[formaction]").click();
  await page.waitForURL(/verify-request/);
  await page.goto(await newestLink(page, origin, "newcomer@example.com", "callback/email"));
  await page.locator("main button.primary").click();
  await page.waitForURL((url) => !url.pathname.includes("callback"));
  people.newcomer = await context.storageState();
  await context.close();
  return people;
}

async function addPasskey(page, origin, name) {
  await addAuthenticator(page);
  await page.goto(`${origin}${auth}/account/security`);
  await page.locator("#passkey-name").fill(name);
  await page.locator("form[data-passkey] button").click();
  await page.waitForURL(/notice=passkey_added|security\/passkeys$/);
}

async function makeToken(page, origin, name) {
  await page.goto(`${origin}${auth}/account/tokens`);
  await page.locator("#name").fill(name);
  await page.locator("#scope-1").check();
  await submit(page, "/tokens");
  await page.locator("#fresh-token").waitFor();
}

/** Half-way in: the password was right, the second proof is asked for. */
const halfWay = (email) => async (page, origin) => {
  await page.goto(`${origin}${auth}/signin?callbackUrl=/protected`);
  await fillSignIn(page, email);
  await page.waitForURL(/\/factor$/);
};

const askForLink = async (page, origin, email) => {
  await page.goto(`${origin}${auth}/signin`);
  await page.locator("#email").fill(email);
  await page.locator("button[formaction]").click();
  await page.waitForURL(/verify-request/);
};

/** Fills in a form that is shown. What the browser itself would refuse is for the server to explain. */
async function mend(page, action, fields) {
  await page.locator(`main form[action$="${action}"]`).first().evaluate((form) => {
    form.noValidate = true;
    form.querySelectorAll("[maxlength]").forEach((field) => field.removeAttribute("maxlength"));
  });
  for (const [field, text] of Object.entries(fields)) await page.locator(`#${field}`).fill(text);
  await submit(page, action);
}

const fill = (path, action, fields) => async (page, origin) => {
  await page.goto(`${origin}${path}`);
  await mend(page, action, fields);
};

/** `[name, who, where or how, values that are kept]` of every page in every state. */
export const stops = [
  ["home", "nobody", "/"],
  ["server-side-denied", "nobody", "/server-side-example"],
  ["client-side-denied", "nobody", "/client-side-example"],
  ["sign-in", "nobody", `${auth}/signin?callbackUrl=/protected`],
  ["sign-in-CredentialsSignin", "nobody", `${auth}/signin?error=CredentialsSignin`],
  ["sign-in-signed_up", "nobody", `${auth}/signin?notice=signed_up`],
  ["sign-in-wrong", "nobody", fill(`${auth}/signin`, "/callback/credentials", { email: "nobody@example.com", password: "a wrong password" }), { email: "nobody@example.com" }],
  ["sign-in-mistake", "nobody", async (page, origin) => {
    await page.goto(`${origin}${auth}/signin`);
    await page.locator("#email").fill("no address");
    await page.locator("button[formaction]").click();
  }, { email: "no address" }],
  ["sign-up", "nobody", `${auth}/signup`],
  ["sign-up-mistakes", "nobody", fill(`${auth}/signup`, "/signup", { name: "n".repeat(201), email: "no address", password: "password" }), { name: "n".repeat(201), email: "no address" }],
  ["sign-out-nobody", "nobody", `${auth}/signout`],
  ["error-AccessDenied", "nobody", `${auth}/error?error=AccessDenied`],
  ["error-default", "nobody", `${auth}/error`],
  ["not-found", "nobody", "/nowhere"],
  ["action-unknown", "nobody", `${auth}/nowhere`],
  ["method-not-allowed", "nobody", `${auth}/callback/credentials`],
  ["too-many", "nobody", async (page, origin, locale) => {
    await page.goto(`${origin}${auth}/signin`);
    for (let round = 0; round < 6; round += 1) await fillSignIn(page, `limited-${locale}@example.com`, "a wrong password");
    await page.locator("main h1").waitFor();
  }],
  ["verify-request", "nobody", `${auth}/verify-request`],
  ["verify-request-code", "nobody", (page, origin, locale) => askForLink(page, origin, `code-${locale}@example.com`)],
  ["verify-request-wrong", "nobody", async (page, origin, locale) => {
    await askForLink(page, origin, `wrong-${locale}@example.com`);
    await page.locator("#code").fill("00000000");
    await submit(page, "/callback/email");
  }],
  ["link-sign-in", "nobody", `${auth}/callback/email?email=${longAddress}&token=x`],
  ["link-used-up", "nobody", fill(`${auth}/callback/email?email=ada%40example.com&token=x`, "/callback/email", {})],
  ["forgot", "nobody", `${auth}/forgot-password`],
  ["forgot-mistake", "nobody", fill(`${auth}/forgot-password`, "/forgot-password", { email: "no address" }), { email: "no address" }],
  ["forgot-sent", "nobody", `${auth}/forgot-password?sent=true`],
  ["reset", "nobody", `${auth}/reset-password?email=${longAddress}&token=x`],
  ["reset-mistake", "nobody", async (page, origin, locale) => {
    const email = { en: "ada@example.com", ko: "keyed@example.com" }[locale];
    await fill(`${auth}/forgot-password`, "/forgot-password", { email })(page, origin);
    await page.goto(await newestLink(page, origin, email, "reset-password"));
    await mend(page, "/reset-password", { password: "short" });
  }],
  ["on-the-way", "nobody", async (page, origin) => {
    // The page goes on by itself; without that it is the same page, and stays.
    await page.route("**/signin/acme", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace(/<meta http-equiv="refresh"[^>]*>/, "");
      await route.fulfill({ response, body });
    });
    await page.goto(`${origin}${auth}/signin`);
    await submit(page, "/signin/acme");
    await page.waitForURL(/signin\/acme$/);
  }],
  ["factor", "nobody", halfWay("guarded@example.com")],
  ["factor-wrong", "nobody", async (page, origin) => {
    await halfWay("guarded@example.com")(page, origin);
    await page.locator("#code").fill("000000");
    await page.locator("main form:has(#code) button").click();
    await page.getByRole("alert").first().waitFor();
  }],
  ["factor-passkey", "nobody", halfWay("keyed@example.com")],
  ["outbox", "nobody", `${auth}/outbox`],
  ["home-member", "member", "/"],
  ["server-side", "member", "/server-side-example"],
  ["client-side", "member", "/client-side-example"],
  ["protected", "member", "/protected"],
  ["account", "member", `${auth}/account`],
  ["account-long", "long", `${auth}/account`],
  ["account-without-password", "newcomer", `${auth}/account`],
  ["account-name_saved", "member", `${auth}/account?notice=name_saved`],
  ["account-last_way_in", "member", `${auth}/account?notice=last_way_in`],
  ["account-name-mistake", "member", fill(`${auth}/account`, "/account/name", { name: "n".repeat(201) }), { name: "n".repeat(201) }],
  ["account-email-mistake", "member", fill(`${auth}/account`, "/account/email", { email: "no address" }), { email: "no address" }],
  ["account-password-mistake", "member", fill(`${auth}/account`, "/account/password", { currentPassword: password, newPassword: "short" })],
  ["account-first-password-mistake", "newcomer", fill(`${auth}/account`, "/account/password/first", { newPassword: "password" })],
  ["account-administrator", "admin", `${auth}/account`],
  ["account-delete-mistake", "member", fill(`${auth}/account`, "/account/delete", {})],
  ["security", "member", `${auth}/account/security`],
  ["security-unconfirmed", "long", `${auth}/account/security`],
  ["security-on", "guarded", `${auth}/account/security`],
  ["security-notice", "guarded", `${auth}/account/security?notice=passkey_added`],
  ["totp", "member", `${auth}/account/security/totp`],
  ["totp-wrong", "member", fill(`${auth}/account/security/totp`, "/totp", { code: "000000" })],
  ["recovery-codes", "keyed", fill(`${auth}/account/security`, "/recovery-codes", {})],
  ["tokens-none", "newcomer", `${auth}/account/tokens`],
  ["tokens", "member", `${auth}/account/tokens`],
  ["tokens-mistake", "member", fill(`${auth}/account/tokens`, "/tokens", { name: "", days: "400" }), { days: "400" }],
  ["tokens-fresh", "long", (page, origin) => makeToken(page, origin, "Backup")],
  ["tokens-revoked", "newcomer", `${auth}/account/tokens?notice=revoked`],
  ["sign-out", "member", `${auth}/signout`],
  ["reauthenticate", "member", `${auth}/reauthenticate`],
  ["reauthenticate-mistake", "member", fill(`${auth}/reauthenticate`, "/callback/credentials", { password: "a wrong password" })],
  ["reauthenticate-long", "long", `${auth}/reauthenticate`],
  ["reauthenticate-without-password", "newcomer", `${auth}/reauthenticate`],
  ["link-verify-email", "member", `${auth}/verify-email?email=ada%40example.com&token=x`],
  ["link-change-email", "member", `${auth}/change-email?email=${longAddress}&token=x`],
  ["not-allowed", "member", `${auth}/admin`],
  ["admin", "admin", `${auth}/admin`],
  ["admin-nobody", "admin", `${auth}/admin?q=zzz`],
  ["admin-user", "admin", async (page, origin) => {
    await page.goto(`${origin}${auth}/admin?q=guarded`);
    await page.getByRole("link", { name: "guarded@example.com" }).click();
    await page.waitForURL(/admin\/users\//);
  }],
  ["admin-user-long", "admin", async (page, origin) => {
    await page.goto(`${origin}${auth}/admin?q=a-very`);
    await page.getByRole("link", { name: longAddress }).click();
    await page.waitForURL(/admin\/users\//);
  }],
  ["admin-oneself", "admin", async (page, origin) => {
    await page.goto(`${origin}${auth}/admin?q=admin`);
    await page.getByRole("link", { name: "admin@example.com" }).click();
    await page.locator("button[value=disable]").click();
    await page.getByRole("alert").waitFor();
  }],
  ["admin-role-mistake", "admin", async (page, origin) => {
    await page.goto(`${origin}${auth}/admin?q=guarded`);
    await page.getByRole("link", { name: "guarded@example.com" }).click();
    await page.locator("#role").fill("Not A Role!");
    await page.locator("button[value=grant]").click();
    await page.getByRole("alert").waitFor();
  }, { role: "Not A Role!" }],
  ["admin-log", "admin", `${auth}/admin/log`],
];

const errors = [
  "Signin", "OAuthSignin", "OAuthCallback", "OAuthCreateAccount", "EmailCreateAccount", "Callback", "OAuthAccountNotLinked",
  "EmailSignin", "SessionRequired", "SignInExpired",
];

/** The same pages saying something else: of these only the words are looked at, and whether they fit. */
export const variants = [
  ...errors.map((code) => [`sign-in-${code}`, "nobody", `${auth}/signin?error=${code}`]),
  ["sign-in-csrf", "nobody", `${auth}/signin?csrf=true`],
  ...["password_reset", "account_deleted"].map((notice) => [`sign-in-${notice}`, "nobody", `${auth}/signin?notice=${notice}`]),
  ...["Verification", "Configuration", "RateLimited", "Unavailable"].map((code) =>
    [`error-${code}`, "nobody", `${auth}/error?error=${code}`]),
  ...["password_changed", "password_set", "session_ended", "sessions_ended", "verification_sent", "email_verified",
    "email_change_sent", "email_changed", "account_unlinked"].map((notice) => [`account-${notice}`, "newcomer", `${auth}/account?notice=${notice}`]),
  ...["totp_off", "passkey_removed"].map((notice) => [`security-${notice}`, "keyed", `${auth}/account/security?notice=${notice}`]),
];
