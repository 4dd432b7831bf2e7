// Starts the service in a folder of its own, and a browser.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const program = process.env.COUNTERSIGN_BIN ?? fileURLToPath(new URL("../../target/debug/countersign", import.meta.url));
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why the browser tests are left out, or false. In CI nothing is left out. */
export const leftOut = (() => {
  if (existsSync(browserPath)) return false;
  const missing = "Chromium is not installed: install Debian's packages chromium and chromium-driver";
  if (process.env.CI) throw new Error(missing);
  console.error(`${missing}; the browser tests are left out`);
  return missing;
})();

export const freePort = () => new Promise((resolve, reject) => {
  const server = createServer().on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** A service of its own; `stop()` ends it, `run()` runs a command of the same program on the same database, `output()` is what it wrote. */
export async function startService(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), "countersign-browser-"));
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const env = {
    PATH: process.env.PATH,
    ROCKET_PORT: `${port}`,
    ROCKET_LOG_LEVEL: "critical",
    COUNTERSIGN_URL: origin,
    COUNTERSIGN_SECRET: `s${randomBytes(32).toString("hex")}`,
    COUNTERSIGN_PROVIDERS__CREDENTIALS__ARGON2__MEMORY_KIB: "8192",
    COUNTERSIGN_PROVIDERS__CREDENTIALS__ARGON2__ITERATIONS: "1",
    COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS: "1000",
    COUNTERSIGN_LIMITS__PER_ADDRESS: "1000",
    ...settings,
  };
  const child = spawn(program, [], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const ended = new Promise((resolve) => child.on("exit", resolve));
  await new Promise((resolve, reject) => {
    const take = (text) => {
      output += text;
      if (output.includes("Countersign is ready")) resolve();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("exit", () => reject(new Error(`the service ended: ${output}`)));
    child.on("error", reject);
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const code = await ended;
    rmSync(folder, { recursive: true, force: true });
    return code;
  };
  const run = (...words) => execFileSync(program, words, { cwd: folder, env, encoding: "utf8" });
  return { origin, run, stop, output: () => output };
}

/** A headless Chromium. */
export const startBrowser = async () => {
  const browser = await launch();
  // A page that does not come is a failure soon, not after half a minute.
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.setDefaultTimeout(10_000);
    return context;
  };
  return browser;
};

const launch = () => chromium.launch({
  executablePath: browserPath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

export const password = "correct horse battery";

/** Makes an account on the page, without signing in. */
export async function signUp(page, origin, email, name = "Ada") {
  await page.goto(`${origin}/api/auth/signup?callbackUrl=/`);
  await page.getByLabel(/Name|이름/).fill(name);
  await page.getByLabel(/E-mail|이메일/).fill(email);
  await page.getByLabel(/Password|비밀번호/).fill(password);
  await page.locator("main button.primary").click();
  await page.waitForURL(/signin/);
}

/** Fills in the sign-in page that is shown. */
export async function fillSignIn(page, email, secret = password) {
  await page.getByLabel(/E-mail|이메일/).fill(email);
  await page.getByLabel(/Password|비밀번호/).fill(secret);
  await page.locator("main button.primary").click();
}

/** Makes an account and signs in. */
export async function enter(page, origin, email) {
  await signUp(page, origin, email);
  await fillSignIn(page, email);
  await page.waitForURL(`${origin}/`);
}
