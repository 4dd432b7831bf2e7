//! Hostile tokens, at a frozen clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::Timestamp;
use countersign::secret::Secret;
use countersign::token::{Format, keys};
use serde_json::Value;

use crate::{ALL, codec, data};

fn is_accepted(entry: &Value, format: Format, secrets: &[&str], now: Timestamp) -> Option<bool> {
    let token = entry["token"].as_str()?;
    Some(codec(format, secrets, false, 2_592_000).verify(token, now).is_ok())
}

// ASVS: 7.2.1, 9.1.1, 9.1.2, 9.1.3, 9.2.1
#[test]
fn the_corpus_of_hostile_tokens() {
    let corpus = data::read("corpus", "jwt_headers.json");
    let text = |name: &str| corpus["parameters"][name].as_str().unwrap().to_owned();
    let (secret, previous) = (text("secret"), text("previous_secret"));
    let now = Timestamp(corpus["parameters"]["frozen_now"].as_i64().unwrap());
    let (mut accepted, mut rejected, mut either, mut oidc) = (0, 0, 0, 0);
    let (mut absent, mut wrong) = (Vec::new(), Vec::new());
    for entry in corpus["entries"].as_array().unwrap() {
        let format = match entry["profile"].as_str().unwrap() {
            "v3" => Format::NextAuthV3,
            "v4" => Format::NextAuthV4,
            "v5" => Format::AuthJsV5,
            // ID tokens are read by other rules: the test below.
            _ => {
                oidc += 1;
                continue;
            }
        };
        let Some(verdict) = is_accepted(entry, format, &[&secret], now) else {
            absent.push(entry["id"].as_str().unwrap());
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
        if expected == "either" {
            either += 1;
        } else if right {
            accepted += usize::from(verdict);
            rejected += usize::from(!verdict);
        } else {
            wrong.push(format!("{} {}: {expected}, but {verdict}", entry["id"], entry["recipe"]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // At least: the corpus grows.
    let counts = (accepted, rejected, either, oidc);
    assert!(accepted >= 8 && rejected >= 181 && either >= 9 && oidc >= 44, "{counts:?}");
    // Too long to keep; `tokens_too_long_or_too_deep` makes their like.
    assert!(absent.len() < 20, "{absent:?}");
}

#[test]
fn the_corpus_of_hostile_id_tokens() {
    use countersign::providers::id_token::{Expected, verify};
    let corpus = data::read("corpus", "jwt_headers.json");
    let provider = &corpus["parameters"]["oidc"];
    let text = |name: &str| provider[name].as_str().unwrap();
    let keys: Vec<jsonwebtoken::jwk::Jwk> = serde_json::from_value(provider["jwks"]["keys"].clone()).unwrap();
    let secret = Secret::new(text("client_secret"));
    let expected = Expected {
        issuer: text("issuer"),
        client_id: text("client_id"),
        client_secret: Some(&secret),
        nonce: text("nonce"),
        algorithms: &[text("registered_alg").parse().unwrap()],
        access_token: Some("an access token"),
        now: Timestamp(corpus["parameters"]["frozen_now"].as_i64().unwrap()),
    };
    let (mut accepted, mut rejected) = (0, 0);
    for entry in corpus["entries"].as_array().unwrap().iter().filter(|entry| entry["profile"] == "oidc") {
        let Some(token) = entry["token"].as_str() else {
            continue;
        };
        let outcome = verify(token, &keys, &expected);
        let verdict = outcome.is_ok();
        match entry["expected"].as_str().unwrap() {
            "accept" | "accept_unlinked" => {
                assert!(verdict, "{}: {outcome:?}", entry["recipe"]);
                accepted += 1;
            }
            // Another audience beside us: refused, as the document of the verifier says.
            "either" => assert!(!verdict, "{}", entry["recipe"]),
            _ => {
                assert!(!verdict, "{} was accepted", entry["recipe"]);
                rejected += 1;
            }
        }
    }
    assert!(accepted >= 5 && rejected >= 35, "{accepted} {rejected}");
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

/// The hostile tokens that are too long to keep, made anew, and the deepest that fit below the limit on length: signed
/// by the right key, so that the JSON within is really read.
#[test]
fn tokens_too_long_or_too_deep() {
    use jsonwebtoken::{Algorithm, EncodingKey, crypto};
    let secret = "a secret for tokens too long or too deep";
    let key = keys::v3_signing(&Secret::new(secret));
    let key = EncodingKey::from_secret(key.as_ref());
    let signed = |header: &str, payload: &str| {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{payload}");
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS512).unwrap();
        format!("{message}.{signature}")
    };
    let now = Timestamp(1_800_000_000);
    let claims = |more: &str| format!(r#"{{"sub":"1815","iat":{},"exp":{}{more}}}"#, now.0, now.0 + 60);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let v3 = codec(Format::NextAuthV3, &[secret], false, 2_592_000);
    let plain = r#"{"alg":"HS512"}"#;
    assert!(v3.verify(&signed(plain, &claims("")), now).is_ok(), "the maker of these tokens is right");
    for depth in [200, 5_000, 20_000] {
        let payload = claims(&format!(r#","deep":{}"#, nested(depth)));
        assert!(v3.verify(&signed(plain, &payload), now).is_err(), "payload {depth} deep");
        let header = format!(r#"{{"alg":"HS512","deep":{}}}"#, nested(depth));
        assert!(v3.verify(&signed(&header, &claims("")), now).is_err(), "header {depth} deep");
    }
    for length in [100_000, 1_000_000] {
        let payload = claims(&format!(r#","name":"{}""#, "a".repeat(length)));
        assert!(v3.verify(&signed(plain, &payload), now).is_err(), "{length} bytes");
        for format in ALL {
            let codec = codec(format, &[secret], false, 2_592_000);
            assert!(codec.verify(&".".repeat(length), now).is_err(), "{length} dots, {format:?}");
        }
    }
}
