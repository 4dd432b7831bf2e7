//! The parts of a guarded request, by themselves: `cargo bench --bench parts`.

#![expect(clippy::unwrap_used, reason = "a measurement stops at what it cannot do")]

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use countersign::clock::Timestamp;
use countersign::model::{Subject, UserId};
use countersign::secret::{Secret, SecretRing, TokenHash};
use countersign::session::{CookieHeader, Found, RevocationList};
use countersign::token::{Claims, Codec, CodecOptions, Format};
use divan::{Bencher, black_box};

const NOW: Timestamp = Timestamp(1_800_000_000);
const FORMATS: [Format; 4] =
    [Format::NextAuthV3, Format::NextAuthV3Encrypted, Format::NextAuthV4, Format::AuthJsV5];

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
    let header = pairs.join("; ");
    bencher.bench(|| {
        match CookieHeader::parse([black_box(header.as_str())]).find_chunked("next-auth.session-token") {
            Found::Value(value) => value.len(),
            Found::Absent | Found::Unusable => 0,
        }
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
