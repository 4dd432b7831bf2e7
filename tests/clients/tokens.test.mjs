// One login with the real packages: each reads our tokens, and we read theirs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import v3 from "next-auth-v3/jwt";
import v4 from "next-auth-v4/jwt";
import * as v5 from "@auth/core/jwt";
import { password, startService } from "../browser/service.mjs";

const secret = "the-secret-both-sides-share-0123456789abcdef";
const plain = "next-auth.session-token";
const request = (name, token) => ({
  headers: { cookie: `${name}=${token}` }, cookies: { [name]: token },
});

// Each generation: its cookie, how it reads a request, and how it mints.
const generations = {
  "nextauth-v3": {
    cookie: plain,
    read: (token) => v3.getToken({ req: request(plain, token), secret, secureCookie: false }),
    mint: (claims) => v3.encode({ token: claims, secret }),
  },
  "nextauth-v3-encrypted": {
    cookie: plain,
    read: (token) => v3.getToken({ req: request(plain, token), secret, secureCookie: false, encryption: true }),
    mint: (claims) => v3.encode({ token: claims, secret, encryption: true }),
  },
  "nextauth-v4": {
    cookie: plain,
    read: (token) => v4.getToken({ req: request(plain, token), secret, secureCookie: false }),
    mint: (claims) => v4.encode({ token: claims, secret }),
  },
  "authjs-v5": {
    cookie: "authjs.session-token",
    read: (token) => v5.getToken({
      req: new Request("http://localhost/", { headers: { cookie: `authjs.session-token=${token}` } }), secret,
    }),
    mint: (claims) => v5.encode({ token: claims, secret, salt: "authjs.session-token" }),
  },
};

/** Signs in over HTTP; the session cookie's value. */
async function signIn(origin, cookieName, email) {
  const jar = new Map();
  const send = async (path, body) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(`${origin}/api/auth/${path}`, {
      method: body ? "POST" : "GET", redirect: "manual", headers: { cookie }, body: body && new URLSearchParams(body),
    });
    for (const header of answer.headers.getSetCookie()) {
      const [name, value] = header.split(";")[0].split(/=(.*)/s);
      jar.set(name, value);
    }
    return answer;
  };
  const { csrfToken } = await (await send("csrf")).json();
  const fields = { csrfToken, name: "Ada", email, password, json: "true" };
  assert.equal((await send("signup", fields)).status, 200);
  assert.equal((await send("callback/credentials", fields)).status, 200);
  return jar.get(cookieName);
}

for (const [format, { cookie, read, mint }] of Object.entries(generations)) {
  describe(format, () => {
    let service;
    before(async () => {
      service = await startService({ COUNTERSIGN_JWT__FORMAT: format, COUNTERSIGN_SECRET: secret });
    });
    after(() => service?.stop());

    test("the package's getToken reads a token of ours", async () => {
      const token = await signIn(service.origin, cookie, "ada@example.com");
      const claims = await read(token);
      assert.equal(claims.email, "ada@example.com");
      assert.equal(claims.name, "Ada");
      assert.deepEqual(claims.amr, ["pwd"]);
      assert.ok(claims.sub && claims.exp > claims.iat);
    });

    test("a token the package minted opens our guards", async () => {
      const token = await mint({ name: "Grace", email: "grace@example.com", picture: null, sub: "1906" });
      const ask = (value) => fetch(`${service.origin}/api/get-token-example`, { headers: { cookie: `${cookie}=${value}` } });
      const answer = await ask(token);
      assert.equal(answer.status, 200);
      const claims = await answer.json();
      assert.equal(claims.sub, "1906");
      assert.equal(claims.name, "Grace");
      const session = await fetch(`${service.origin}/api/auth/session`, { headers: { cookie: `${cookie}=${token}` } });
      assert.equal((await session.json()).user.email, "grace@example.com");
      assert.equal((await ask(`${token.slice(0, -2)}AA`)).status, 401);
    });
  });
}

describe("rotation", () => {
  test("an old secret's tokens work until it leaves the list", async () => {
    const previous = "an-older-secret-of-both-sides-0123456789abc";
    for (const [format, { cookie }] of Object.entries(generations)) {
      const settings = { COUNTERSIGN_JWT__FORMAT: format };
      const minted = {
        "nextauth-v3": () => v3.encode({ token: { sub: "1" }, secret: previous }),
        "nextauth-v3-encrypted": () => v3.encode({ token: { sub: "1" }, secret: previous, encryption: true }),
        "nextauth-v4": () => v4.encode({ token: { sub: "1" }, secret: previous }),
        "authjs-v5": () => v5.encode({ token: { sub: "1" }, secret: previous, salt: "authjs.session-token" }),
      };
      const token = await minted[format]();
      for (const [list, status] of [[`["${secret}","${previous}"]`, 200], [`["${secret}"]`, 401]]) {
        const service = await startService({ ...settings, COUNTERSIGN_SECRET: list });
        const headers = { cookie: `${cookie}=${token}` };
        const answer = await fetch(`${service.origin}/api/get-token-example`, { headers });
        await service.stop();
        assert.equal(answer.status, status, `${format} with ${list.length}`);
      }
    }
  });

  test("v5's own list reads a token of ours until our secret leaves it", async () => {
    const ours = "an-older-secret-of-both-sides-0123456789abc";
    const service = await startService({ COUNTERSIGN_JWT__FORMAT: "authjs-v5", COUNTERSIGN_SECRET: ours });
    const token = await signIn(service.origin, "authjs.session-token", "ada@example.com");
    await service.stop();
    const read = (list) => v5.getToken({
      req: new Request("http://localhost/", { headers: { cookie: `authjs.session-token=${token}` } }), secret: list,
    });
    assert.equal((await read([secret, ours])).email, "ada@example.com");
    assert.equal(await read([secret]).catch(() => null), null);
  });
});
