// The migration guide, gone through as it is written: a real Next.js application with next-auth v4, nginx, and a browser.
// Configuration and commands are taken from the guide; what it says must then be true.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fillSignIn, freePort, leftOut, password, program, startBrowser } from "../browser/service.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const guide = readFileSync(new URL("../../docs/migrating.md", import.meta.url), "utf8");
const blocks = (language) => [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, text]) => text);
const secret = "the value of NEXTAUTH_SECRET, at least 32 characters";
const nginx = "/usr/sbin/nginx";
const missing = existsSync(nginx) ? leftOut : "nginx is not installed: install Debian's package nginx-light";
if (missing && process.env.CI) throw new Error(missing);

describe("the migration guide", { skip: missing, timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "countersign-migration-"));
  const children = [];
  let origin, ports, browser, context, page;

  const start = async (command, args, options, url) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => { output += text; });
    for (let tries = 0; tries < 300; tries += 1) {
      if (child.exitCode !== null) break;
      if (await fetch(url, { redirect: "manual" }).then(() => true, () => false)) return child;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${command} did not start: ${output}`);
  };
  const local = (text) => text.replaceAll(":8000", `:${ports.countersign}`).replaceAll(":3000", `:${ports.next}`)
    .replaceAll("https://app.example.com", origin);
  const configureNginx = (locations) => writeFileSync(join(folder, "nginx.conf"), `
    daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log off;
      ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ")}
      server {
        listen 127.0.0.1:${ports.nginx};
        proxy_set_header Host $host:$server_port;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        ${local(locations)}
      }
    }`);
  const environment = () => ({ PATH: process.env.PATH, ROCKET_PORT: `${ports.countersign}`, ROCKET_LOG_LEVEL: "critical" });
  // What the guide tells people to type, and how it is done here.
  const commands = {
    "countersign check": () => execFileSync(program, ["check"], { cwd: folder, env: environment() }),
    countersign: () => start(program, [], { cwd: folder, env: environment() }, `http://127.0.0.1:${ports.countersign}/healthz`),
    "nginx -t": () => execFileSync(nginx, ["-t", "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")], { stdio: "pipe" }),
    "nginx -s reload": () => execFileSync(nginx, ["-s", "reload", "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")]),
    "countersign user add ada@example.com --name Ada < password-file": () => {
      const added = spawnSync(program, ["user", "add", "ada@example.com", "--name", "Ada"], {
        cwd: folder, env: environment(), input: `${password}\n`,
      });
      assert.equal(added.status, 0, `${added.stderr}`);
    },
    "countersign secret": () => assert.match(`${execFileSync(program, ["secret"])}`, /^\S{64}\n$/),
  };
  const runBlock = async (index) => {
    for (const line of blocks("console")[index].trim().split("\n")) {
      assert.ok(commands[line], `the guide says \`${line}\`, which nobody tries`);
      await commands[line]();
    }
  };
  const status = async (path) => (await context.request.get(`${origin}${path}`, { maxRedirects: 0 })).status();
  /** What each side says: Next.js in the browser, on the server and in its API, and Rocket's guards. */
  const everywhere = async (signedIn) => {
    await page.goto(`${origin}/`);
    await page.getByRole("heading", { name: signedIn ? "Hello Ada" : "unauthenticated" }).waitFor();
    await page.goto(`${origin}/server-side`);
    await page.getByRole("heading", { name: signedIn ? "Hello Ada" : "signed out" }).waitFor();
    assert.equal(await status("/api/me"), signedIn ? 200 : 401);
    assert.equal(await status("/api/get-session-example"), signedIn ? 200 : 401);
    assert.equal(await status("/api/get-token-example"), signedIn ? 200 : 401);
  };

  before(async () => {
    ports = { nginx: await freePort(), next: await freePort(), countersign: await freePort() };
    origin = `http://localhost:${ports.nginx}`;
    const env = { PATH: process.env.PATH, HOME: folder, NEXT_TELEMETRY_DISABLED: "1", NEXTAUTH_URL: origin, NEXTAUTH_SECRET: secret };
    const next = join(here, "node_modules/next/dist/bin/next");
    execFileSync(process.execPath, [next, "build"], { cwd: here, env, stdio: "pipe" });
    await start(process.execPath, [next, "start", "-p", `${ports.next}`], { cwd: here, env }, `http://127.0.0.1:${ports.next}/`);
    configureNginx("location / { proxy_pass http://127.0.0.1:3000; }");
    await start(nginx, ["-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")], {}, origin);
    browser = await startBrowser();
    context = await browser.newContext();
    page = await context.newPage();
  });
  after(async () => {
    await browser?.close();
    for (const child of children) {
      const ended = new Promise((resolve) => child.on("exit", resolve));
      child.kill("SIGTERM");
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test("0: the application as it was", async () => {
    await page.goto(`${origin}/api/auth/signin?callbackUrl=${encodeURIComponent(`${origin}/server-side`)}`);
    await page.getByLabel("E-mail").fill("ada@example.com");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: /Sign in/ }).click();
    await page.getByRole("heading", { name: "Hello Ada" }).waitFor();
  });

  test("1: Countersign beside it sees the same session", async () => {
    writeFileSync(join(folder, "Rocket.toml"), local(blocks("toml")[0]));
    await runBlock(0);
    configureNginx(blocks("nginx")[0]);
    await runBlock(1);
    await everywhere(true);
    // NextAuth's own sign-out ends it for both, and its page is where a refused browser is sent.
    await page.goto(`${origin}/api/auth/signout`);
    await page.getByRole("button", { name: /Sign out/ }).click();
    await page.getByRole("heading", { name: "signed out" }).waitFor();
    await everywhere(false);
    await page.goto(`${origin}/protected`);
    await page.waitForURL(/\/api\/auth\/signin\?callbackUrl=/);
    await page.getByLabel("E-mail").fill("ada@example.com");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: /Sign in/ }).click();
    await page.waitForURL(`${origin}/protected`);
    await everywhere(true);
  });

  test("2 and 3: Countersign takes over, and whoever was signed in still is", async () => {
    await runBlock(2);
    configureNginx(blocks("nginx")[1]);
    await runBlock(3);
    // nginx changes its workers a moment after the command returns.
    for (let tries = 0; tries < 100 && (await status("/api/auth/account")) !== 200; tries += 1) await page.waitForTimeout(50);
    await everywhere(true);
    const { csrfToken } = await (await context.request.get(`${origin}/api/auth/csrf`)).json();
    const kept = await context.cookies();
    await context.request.post(`${origin}/api/auth/signout`, { form: { csrfToken, json: "true" } });
    await everywhere(false);
    // A kept copy of the cookie: refused for good by the guards.
    await context.addCookies(kept);
    assert.equal(await status("/api/get-session-example"), 401);
    await context.clearCookies();
    await page.goto(`${origin}/protected`);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await fillSignIn(page, "ada@example.com");
    await page.waitForURL(`${origin}/protected`);
    await everywhere(true);
    assert.equal((await (await context.request.get(`${origin}/api/me`)).json()).email, "ada@example.com");
  });

  test("4: every command of the guide was tried", async () => {
    await runBlock(4);
    assert.equal(blocks("console").length, 5);
    assert.deepEqual([blocks("toml").length, blocks("nginx").length], [1, 2]);
  });
});
