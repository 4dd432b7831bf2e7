// A provider whose certificate nobody vouches for is not spoken to.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import { test } from "node:test";
import { startService } from "../browser/service.mjs";
import { settings } from "./provider.mjs";

const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBtQfeqhp62s1/a9Q
MPD3K9TmCUlODyTEJfrSeLjxbByhRANCAARmVJtWQ7f2AEQ+JQpI+I7LoEvP+yi5
xNklvY4rS0dHLrxF9mArG6PAY47eDR8ZaakvqRM98Z1p6bzJ4RFJVQqm
-----END PRIVATE KEY-----`;
const cert = `-----BEGIN CERTIFICATE-----
MIIBkjCCATmgAwIBAgIUHuk7OR5gEuVVO4ZexqLyd8IPvuMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2MTEyNDIzNDM1MloXDTM2MTEyMTIz
NDM1MlowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEZlSbVkO39gBEPiUKSPiOy6BLz/soucTZJb2OK0tHRy68RfZgKxujwGOO
3g0fGWmpL6kTPfGdaem8yeERSVUKpqNpMGcwHQYDVR0OBBYEFHp20de585+3v0dS
rALQ2qynVNgZMB8GA1UdIwQYMBaAFHp20de585+3v0dSrALQ2qynVNgZMA8GA1Ud
EwEB/wQFMAMBAf8wFAYDVR0RBA0wC4IJbG9jYWxob3N0MAoGCCqGSM49BAMCA0cA
MEQCIBv1mjQDvioc+7WVpJ1+BWVTQrnOV8IfeAkXWGhEhRtQAiA0oNS2rwuGfJIP
F8PcHY3u5vc+KuPw6znNgH8HSeDqnQ==
-----END CERTIFICATE-----`;

test("a certificate that is not trusted ends the sign-in", { timeout: 60_000 }, async () => {
  const heard = [];
  const server = createServer({ key, cert }, (request, response) => {
    heard.push(request.url);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ issuer: `https://localhost:${server.address().port}` }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const service = await startService(settings("acme", `https://localhost:${server.address().port}`));
  try {
    const first = await fetch(`${service.origin}/api/auth/csrf`);
    const cookie = first.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
    const { csrfToken } = await first.json();
    const answer = await fetch(`${service.origin}/api/auth/signin/acme`, {
      method: "POST", headers: { cookie }, body: new URLSearchParams({ csrfToken, json: "true" }),
    });
    assert.equal(answer.status, 503);
    assert.match((await answer.json()).url, /error=OAuthSignin$/);
    assert.deepEqual(heard, []);
  } finally {
    await service.stop();
    server.close();
  }
});
