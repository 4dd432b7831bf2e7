// A real mail server on a port of this machine (npm's `smtp-server`), and the mail it got, read by `mailparser`.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";

// An authority of these tests, and what it vouches for: `localhost`, and a name that is not this server's.
const authority = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUOgAwIBAgIUEYUf22OUspTXmNtNWEgDNlH7YWkwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRQ291bnRlcnNpZ24gdGVzdHMwHhcNMjYxMTI1MDI1MTE3WhcN
NDYxMTIwMDI1MTE3WjAcMRowGAYDVQQDDBFDb3VudGVyc2lnbiB0ZXN0czBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABCdCWj0JqC17y1oiWRmriCZJ6qzUTcGiiJ/j
clZBfEvA3RSvlNDjhpk3NEnEixzvT8ftHIRLOLzMnDf+lCZxDVujYzBhMB0GA1Ud
DgQWBBRH+MVxmOHpay8Tg/6wmem/tqmd1DAfBgNVHSMEGDAWgBRH+MVxmOHpay8T
g/6wmem/tqmd1DAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAKBggq
hkjOPQQDAgNHADBEAiA8PxjuRToO7coOJtZaNVcMuQyoKBAS80Dm2fIEhJ+NAwIg
cD7LlRpRq2+cvquCpRtdgtRJ01ljncys6jry4y732lg=
-----END CERTIFICATE-----
`;
const certificates = {
  localhost: {
    cert: `-----BEGIN CERTIFICATE-----
MIIBrTCCAVOgAwIBAgIUco4ANbYjukbT6n6L8ll7nc0QGzgwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRQ291bnRlcnNpZ24gdGVzdHMwHhcNMjYxMTI1MDI1MTE4WhcN
NDYxMTIwMDI1MTE4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAASj2wMgN0HtZ0mBXueP2dO/gePkO05nMAAuINkgkVdNIwet
UwZsozZfwU44x7G8KsS+jUtIVMCtgWEQaJACIyoRo3sweTAUBgNVHREEDTALggls
b2NhbGhvc3QwDAYDVR0TAQH/BAIwADATBgNVHSUEDDAKBggrBgEFBQcDATAdBgNV
HQ4EFgQUjtZdro8a/fUQEq9T3qRpSNBtOYwwHwYDVR0jBBgwFoAUR/jFcZjh6Wsv
E4P+sJnpv7apndQwCgYIKoZIzj0EAwIDSAAwRQIhANTMKUfx5Q++TpdNR5fdaJKJ
gWze23lkJjsjQFCYFhzGAiAD9C1tlsOiKqNd5Ss/CR2YVAJ5dOiH4YkVjdFJq4gy
Qg==
-----END CERTIFICATE-----`,
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgo/8Eqkp+DpmF/fHG
Zs2gPwnUQxRw1xhG4ZrxufXPXk6hRANCAASj2wMgN0HtZ0mBXueP2dO/gePkO05n
MAAuINkgkVdNIwetUwZsozZfwU44x7G8KsS+jUtIVMCtgWEQaJACIyoR
-----END PRIVATE KEY-----`,
  },
  elsewhere: {
    cert: `-----BEGIN CERTIFICATE-----
MIIBwzCCAWmgAwIBAgIUco4ANbYjukbT6n6L8ll7nc0QGzkwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRQ291bnRlcnNpZ24gdGVzdHMwHhcNMjYxMTI1MDI1MTE4WhcN
NDYxMTIwMDI1MTE4WjAeMRwwGgYDVQQDDBNtYWlsLmVsc2V3aGVyZS50ZXN0MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU0FIwi1atZn1y4QcBmny8IRX1sL2f4K8
MsyAz4CT6YcZnaB0g1RSV95klxS+F/RpphqTbfjGDYkikomSBjCA46OBhjCBgzAe
BgNVHREEFzAVghNtYWlsLmVsc2V3aGVyZS50ZXN0MAwGA1UdEwEB/wQCMAAwEwYD
VR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFIzahezjJrZe5WNjsXE00oa2Q2il
MB8GA1UdIwQYMBaAFEf4xXGY4elrLxOD/rCZ6b+2qZ3UMAoGCCqGSM49BAMCA0gA
MEUCIQDPIUDKJ0L7mj3ZtrAZldU0UEAFdY2JUV8rzsu6aNAwTQIgZWoqxtiIdgd5
MDsO3tc3s2MRUEKayRMRmv8kdkhCMWI=
-----END CERTIFICATE-----`,
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUnLpFf63Bs58RA7D
r5aPrK0kPOOKsQKCGudIkW5kM2mhRANCAARTQUjCLVq1mfXLhBwGafLwhFfWwvZ/
grwyzIDPgJPphxmdoHSDVFJX3mSXFL4X9GmmGpNt+MYNiSKSiZIGMIDj
-----END PRIVATE KEY-----`,
  },
};

export const account = { user: "countersign@example.com", password: "p@ss word/of the:mail?server" };

/**
 * Starts one. `certificate` is whose it shows, `implicit` whether TLS begins with the first byte, `stripped` hides STARTTLS as
 * somebody on the way would, and `held` is what it waits for before it takes a mail.
 */
export async function startMailbox({ certificate = "localhost", implicit = false, stripped = false, held, port = 0 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "countersign-mail-"));
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, authority);
  const mails = [];
  const waiting = [];
  // What was said to the server, and over what: whatever is not to go over the network in clear text.
  const seen = { connections: 0, logins: [], refused: 0 };
  const server = new SMTPServer({
    ...certificates[certificate], secure: implicit, hideSTARTTLS: stripped, disableReverseLookup: true, logger: false,
    disabledCommands: stripped ? ["STARTTLS"] : [],
    allowInsecureAuth: stripped,
    onAuth: ({ username, password }, session, done) => {
      seen.logins.push({ username, secure: session.secure });
      const fine = username === account.user && password === account.password;
      if (!fine) seen.refused += 1;
      done(fine ? null : Object.assign(new Error("Authentication credentials invalid"), { responseCode: 535 }), { user: username });
    },
    onData: (stream, session, done) => {
      const chunks = [];
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", async () => {
        const source = Buffer.concat(chunks);
        const mail = await simpleParser(source, { skipTextToHtml: true, skipHtmlToText: true });
        await held;
        mails.push({ mail, source: source.toString(), envelope: session.envelope, secure: session.secure });
        waiting.splice(0).forEach((wake) => wake());
        done();
      });
    },
  });
  // A client that hangs up on a certificate is an error on this side, too.
  server.on("error", () => {});
  // Also those that end over a certificate.
  server.server.on("connection", () => { seen.connections += 1; });
  server.listen(port, "127.0.0.1");
  await once(server.server, "listening");
  const listening = server.server.address().port;
  const to = ({ envelope }) => envelope.rcptTo.map(({ address }) => address);

  /** The oldest mail to an address whose subject begins so, taken out; waits for it. */
  const take = async (address, subject, patience = 20_000) => {
    const end = Date.now() + patience;
    for (;;) {
      const at = mails.findIndex((got) => to(got).includes(address) && got.mail.subject.startsWith(subject));
      if (at >= 0) return mails.splice(at, 1)[0];
      const left = end - Date.now();
      if (left <= 0) throw new Error(`no mail ${subject} to ${address}; there are: ${mails.map(({ mail }) => mail.subject)}`);
      await new Promise((resolve) => { waiting.push(resolve); setTimeout(resolve, left).unref(); });
    }
  };
  const stop = async () => {
    await new Promise((resolve) => { server.close(resolve); });
    rmSync(folder, { recursive: true, force: true });
  };
  const user = encodeURIComponent(account.user);
  const password = encodeURIComponent(account.password);
  /** The settings of a service that sends by it; the tests of TLS change them. */
  const settings = {
    COUNTERSIGN_PROVIDERS__EMAIL__SERVER: `${implicit ? "smtps" : "smtp"}://${user}:${password}@localhost:${listening}`,
    COUNTERSIGN_PROVIDERS__EMAIL__TLS: implicit ? "tls" : "starttls",
    COUNTERSIGN_PROVIDERS__EMAIL__CA: ca,
    COUNTERSIGN_PROVIDERS__EMAIL__FROM: "Fröhlich & Söhne <no-reply@example.com>",
    COUNTERSIGN_LIMITS__MAILS_PER_ADDRESS: "1000",
  };
  /** Goes away; what `settings` name stays until `stop()`. */
  const leave = () => new Promise((resolve) => { server.close(resolve); });
  return { mails, seen, take, settings, leave, stop, port: listening };
}

/** The link in a mail, from its text. */
export const linkIn = ({ mail }) => mail.text.match(/https?:\/\/\S+/)[0];

/** The code in a mail, from its text. */
export const codeIn = ({ mail }) => mail.text.match(/^(\d{4}) (\d{4})$/m).slice(1).join("");
