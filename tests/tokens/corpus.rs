//! Hostile tokens, at a frozen clock.

use countersign::clock::Timestamp;
use countersign::token::Format;
use serde_json::Value;

use crate::{codec, data};

fn is_accepted(entry: &Value, format: Format, secrets: &[&str], now: Timestamp) -> Option<bool> {
    let token = entry["token"].as_str()?;
    Some(codec(format, secrets, false, 2_592_000).verify(token, now).is_ok())
}

#[test]
fn the_corpus_of_hostile_tokens() {
    let corpus = data::read("corpus", "jwt_headers.json");
    let text = |name: &str| corpus["parameters"][name].as_str().unwrap().to_owned();
    let (secret, previous) = (text("secret"), text("previous_secret"));
    let now = Timestamp(corpus["parameters"]["frozen_now"].as_i64().unwrap());
    let (mut accepted, mut rejected, mut absent, mut oidc, mut wrong) = (0, 0, 0, 0, Vec::new());
    for entry in corpus["entries"].as_array().unwrap() {
        let format = match entry["profile"].as_str().unwrap() {
            "v3" => Format::NextAuthV3,
            "v4" => Format::NextAuthV4,
            "v5" => Format::AuthJsV5,
            // ID tokens of OpenID Connect are not read yet.
            _ => {
                oidc += 1;
                continue;
            }
        };
        let Some(verdict) = is_accepted(entry, format, &[&secret], now) else {
            absent += 1;
            continue;
        };
        let expected = entry["expected"].as_str().unwrap();
        let right = match expected {
            "accept" | "accept_if_authjs_compat" => verdict,
            "either" => true,
            "accept_if_rotation" => {
                !verdict && is_accepted(entry, format, &[&secret, &previous], now) == Some(true)
            }
            _ => !verdict,
        };
        if right {
            accepted += usize::from(verdict);
            rejected += usize::from(!verdict);
        } else {
            wrong.push(format!("{} {}: {expected}, but {verdict}", entry["id"], entry["recipe"]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        accepted >= 7 && rejected >= 170 && oidc >= 40,
        "{accepted} {rejected} {oidc} ({absent} too long to keep)"
    );
}

/// What is listed besides is read; nothing else is.
#[test]
fn another_generations_token_is_read_only_when_listed() {
    let corpus = data::read("corpus", "jwt_headers.json");
    let secret = corpus["parameters"]["secret"].as_str().unwrap().to_owned();
    let now = Timestamp(corpus["parameters"]["frozen_now"].as_i64().unwrap());
    for (kind, own, listed) in [
        ("reject_unless_v3_enabled", Format::NextAuthV4, Format::NextAuthV3),
        ("reject_unless_v4_enabled", Format::AuthJsV5, Format::NextAuthV4),
    ] {
        let entries = corpus["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["expected"] == kind).unwrap();
        let token = entry["token"].as_str().unwrap();
        let secrets =
            countersign::secret::SecretRing::new(countersign::secret::Secret::new(&*secret), vec![]);
        let with = |accept: &[Format]| {
            countersign::token::Codec::new(countersign::token::CodecOptions {
                secrets: &secrets,
                mint: own,
                accept,
                secure_cookies: false,
                max_age: 2_592_000,
            })
            .verify(token, now)
            .is_ok()
        };
        assert!(!with(&[]), "{kind}");
        assert!(with(&[listed]), "{kind}");
    }
}
