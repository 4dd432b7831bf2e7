//! The parts of a guarded request, by themselves: `cargo bench --bench parts`.

#![expect(clippy::unwrap_used, reason = "a measurement stops at what it cannot do")]

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use countersign::clock::Timestamp;
use countersign::guards::Auth;
use countersign::model::{Subject, UserId};
use countersign::secret::{Secret, SecretRing, Secrets, TokenHash};
use countersign::session::{CookieHeader, Csrf, Found, Presented, RevocationList, SoughtName};
use countersign::token::{Claims, Codec, CodecOptions, Format};
use divan::{Bencher, black_box};
use rocket::http::Header;
use rocket::local::asynchronous::Client;

use app::{Setup, enter};

#[path = "whole/app.rs"]
mod app;

const NOW: Timestamp = Timestamp(1_800_000_000);
const FORMATS: [Format; 4] =
    [Format::NextAuthV3, Format::NextAuthV3Encrypted, Format::NextAuthV4, Format::AuthJsV5];

/// How a session is carried, and among how many cookies.
#[derive(Debug, Clone)]
struct Form {
    strategy: &'static str,
    format: &'static str,
    cookies: usize,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, {} cookies", self.strategy, self.format, self.cookies)
    }
}

fn forms() -> Vec<Form> {
    let formats =
        ["nextauth-v3", "nextauth-v3-encrypted", "nextauth-v4", "authjs-v5"].map(|format| ("jwt", format));
    let all = formats.into_iter().chain([("database", "nextauth-v3")]);
    all.flat_map(|(strategy, format)| [1, 3, 20].map(|cookies| Form { strategy, format, cookies })).collect()
}

/// The measured application with somebody signed in.
struct Site {
    runtime: rocket::tokio::runtime::Runtime,
    client: Client,
    header: String,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new(form: &Form) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            database_url: format!("sqlite://{}", folder.path().join("bench.db").display()),
            strategy: form.strategy.to_owned(),
            format: form.format.to_owned(),
            port: 0,
        };
        let mut runtime = rocket::tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let (client, header) = runtime.block_on(async {
            let store = setup.store().await;
            let client = Client::untracked(setup.rocket(store.clone())).await.unwrap();
            let header = enter(client.rocket(), &*store, form.cookies).await;
            (client, header)
        });
        Self { runtime, client, header, _folder: folder }
    }
}

fn main() {
    divan::main();
}

fn codec(format: Format) -> Codec {
    let secrets = SecretRing::new(Secret::new("bench-secret-0123456789-abcdefghijklmnop"), vec![]);
    Codec::new(CodecOptions {
        secrets: &secrets,
        mint: format,
        accept: &[],
        secure_cookies: false,
        max_age: 3600,
    })
}

fn token(codec: &Codec) -> String {
    let mut claims = Claims::default();
    for (name, value) in [("sub", "0123456789abcdef"), ("name", "Ada Lovelace"), ("email", "ada@example.com")]
    {
        claims.set(name, value);
    }
    codec.mint(&claims, NOW, NOW.plus(3600)).unwrap()
}

/// The session's cookie found in a header of so many cookies.
#[divan::bench(args = [1, 3, 20])]
fn find_cookie(bencher: Bencher<'_, '_>, cookies: usize) {
    let mut pairs: Vec<String> =
        (1..cookies).map(|number| format!("_other_{number}=GA1.1.{number:032}")).collect();
    pairs.push(format!("next-auth.session-token={}", "x".repeat(300)));
    let (header, name) = (pairs.join("; "), SoughtName::new("next-auth.session-token"));
    bencher.bench(|| match CookieHeader::parse([black_box(header.as_str())]).find_chunked(&name) {
        Found::Value(value) => value.len(),
        Found::Absent | Found::Unusable => 0,
    });
}

/// A header to a session that was seen lately, in every form a session has.
#[divan::bench(args = forms())]
fn header_to_session(bencher: Bencher<'_, '_>, form: &Form) {
    let site = Site::new(form);
    let auth = site.client.rocket().state::<Auth>().unwrap();
    let name = auth.cookies.sought_session();
    bencher.bench(|| {
        let header = CookieHeader::parse([black_box(site.header.as_str())]);
        match header.find_chunked(name) {
            Found::Value(text) => auth.sessions.recent(Presented::Cookie(&text)).is_some(),
            Found::Absent | Found::Unusable => false,
        }
    });
}

/// The pair in a browser's CSRF cookie.
#[divan::bench]
fn check_csrf(bencher: Bencher<'_, '_>) {
    let secrets = SecretRing::new(Secret::new("bench-secret-0123456789-abcdefghijklmnop"), vec![]);
    let csrf = Csrf::new(Secrets::new(secrets));
    let pair = csrf.generate().unwrap();
    bencher.bench(|| csrf.read(black_box(pair.cookie())).is_some());
}

/// A whole request in process: a page that is rendered, one that was rendered a moment ago, and a refusal.
#[divan::bench(args = ["/page-fresh", "/page", "/api/auth/session", "/refused"])]
fn answer(bencher: Bencher<'_, '_>, what: &str) {
    let site = Site::new(&Form { strategy: "jwt", format: "nextauth-v3", cookies: 3 });
    let (path, signed_in) = match what {
        "/refused" => ("/session", false),
        other => (other, true),
    };
    bencher.bench(|| {
        let mut request = site.client.get(path);
        if signed_in {
            request.add_header(Header::new("Cookie", site.header.clone()));
        }
        site.runtime.block_on(async { request.dispatch().await.into_bytes().await.map(|body| body.len()) })
    });
}

/// A token that was not seen lately.
#[divan::bench(args = FORMATS)]
fn verify_token(bencher: Bencher<'_, '_>, format: Format) {
    let codec = codec(format);
    let token = token(&codec);
    bencher.bench(|| codec.verify(black_box(&token), NOW).is_ok());
}

/// A token that is not ours.
#[divan::bench(args = FORMATS)]
fn refuse_token(bencher: Bencher<'_, '_>, format: Format) {
    let codec = codec(format);
    let mut token = token(&codec);
    let last = if token.pop() == Some('A') { 'B' } else { 'A' };
    token.insert(token.len() - 8, last);
    bencher.bench(|| codec.verify(black_box(&token), NOW).is_err());
}

#[divan::bench(args = FORMATS)]
fn mint_token(bencher: Bencher<'_, '_>, format: Format) {
    let codec = codec(format);
    bencher.bench(|| token(&codec));
}

fn list(revoked: u64) -> RevocationList {
    let list = RevocationList::default();
    for number in 0..revoked {
        list.add(&Subject::Session(TokenHash::of(&number.to_string())), NOW, NOW.plus(1));
    }
    list.confirm(Instant::now());
    list
}

/// The look-up after something was revoked.
#[divan::bench(args = [0, 1_000, 1_000_000], max_time = 2)]
fn ask_revocations(bencher: Bencher<'_, '_>, revoked: u64) {
    let (list, user) = (list(revoked), UserId::from_existing("ada"));
    let ids: Vec<TokenHash> = (0..1000).map(|number| TokenHash::of(&format!("other {number}"))).collect();
    let next = AtomicU64::new(0);
    bencher.bench(|| {
        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 1000;
        let id = ids.get(usize::try_from(at).unwrap()).unwrap();
        list.is_revoked(black_box(id), &user, NOW)
    });
}

/// The look-up when nothing was revoked since the last one.
#[divan::bench(args = [0, 1_000, 1_000_000], max_time = 2)]
fn revocations_unchanged(bencher: Bencher<'_, '_>, revoked: u64) {
    let (list, user, id) = (list(revoked), UserId::from_existing("ada"), TokenHash::of("other"));
    let cleared = AtomicU64::new(list.generation());
    bencher.bench(|| list.still_allows(&cleared, Instant::now(), (black_box(&id), &user, NOW)));
}
