//! The 524 tokens that the real packages minted, and what they and we make of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use countersign::clock::Timestamp;
use countersign::session::{CookieHeader, Found, Presented, SoughtName};
use countersign::token::{Claims, Format, session_cookie_name};
use serde_json::Value;

use crate::{codec, data, document};

/// Options of the packages that Countersign does not have: keys given as JWK, and salts for helper cookies.
const NOT_OFFERED: [&str; 6] = [
    "v3s-signing-key-jwk",
    "v3s-signing-key-jwk-other",
    "v3s-signing-key-jwk-vs-derived",
    "v3e-encryption-key-jwk",
    "v3e-decryption-key-and-verification-key",
    "v4-salted-roundtrip",
];

/// Where we say otherwise than the recommendation, and why: kind, whether we accept, reason.
const OTHERWISE: &[(&str, bool, &str)] = &[
    ("bearer-percent-encoded", false, "a Bearer token is never percent-decoded: RFC 6750 has no such form"),
    ("cookie-quoted", false, "quotes are part of a cookie's value, as v5 reads it"),
    ("cookie-twice", false, "two different values under one name are none"),
    ("chunked", true, "long sessions travel in chunks in every format"),
    ("chunked-reverse-order", true, "long sessions travel in chunks in every format"),
    ("chunked-twelve", true, "long sessions travel in chunks in every format"),
    (
        "iat-one-second-ahead",
        true,
        "clocks of two instances may be 15 seconds apart: what one has just issued is not invalid at the other",
    ),
    (
        "rotated-old-secret-no-kid",
        true,
        "without a kid every secret is tried, so that a rotation signs nobody out",
    ),
];

fn format_of(case: &Value) -> (Format, bool) {
    match case["id"].as_str().unwrap().split('-').next().unwrap() {
        "v3s" => (Format::NextAuthV3, false),
        "v3e" => (Format::NextAuthV3Encrypted, false),
        "v4" => (Format::NextAuthV4, false),
        "v5n" => (Format::AuthJsV5, false),
        "v5s" => (Format::AuthJsV5, true),
        other => panic!("{other}"),
    }
}

/// The token a case presents, found as a request's would be.
fn present(case: &Value, format: Format, secure: bool) -> Option<String> {
    let request = &case["request"];
    if request.is_null() {
        return case["token"].as_str().map(str::to_owned);
    }
    let secure = secure || case["options"]["secure"].as_bool().unwrap_or_default();
    let header = CookieHeader::parse(request["cookie"].as_str());
    match header.find_chunked(&SoughtName::new(session_cookie_name(format, secure))) {
        Found::Value(token) if !token.is_empty() => Some(token.into_owned()),
        Found::Unusable => None,
        _ => match Presented::from_authorization(request["authorization"].as_str().unwrap_or_default()) {
            Presented::Bearer(token) => Some(token.to_owned()),
            _ => None,
        },
    }
}

fn verdict(case: &Value) -> Option<Claims> {
    let (format, secure) = format_of(case);
    let secrets: Vec<&str> = match &case["secret"] {
        Value::Array(secrets) => secrets.iter().filter_map(Value::as_str).collect(),
        other => vec![other.as_str().unwrap()],
    };
    let max_age = case["options"]["maxAge"].as_i64().unwrap_or(2_592_000);
    let codec = codec(format, &secrets, secure, max_age);
    let token = present(case, format, secure)?;
    codec.decode(&token, Timestamp(case["now"].as_i64().unwrap())).ok().map(|verified| verified.claims)
}

#[test]
fn what_is_recommended_is_what_we_do() {
    let vectors = data::read("vectors", "nextauth-tokens.json");
    let (mut accepted, mut rejected, mut either, mut skipped, mut wrong) = (0, 0, 0, 0, Vec::new());
    let mut otherwise: BTreeMap<&str, usize> = OTHERWISE.iter().map(|(kind, ..)| (*kind, 0)).collect();
    for case in vectors["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if NOT_OFFERED.contains(&id) {
            skipped += 1;
            continue;
        }
        let claims = verdict(case);
        match (case["recommended"].as_str().unwrap(), claims) {
            ("accept", Some(claims)) => {
                accepted += 1;
                if let Some(expected) = case["claims"].as_object() {
                    assert_eq!(&claims.0, expected, "{id}");
                }
            }
            ("reject", None) => rejected += 1,
            ("either", _) => either += 1,
            (_, verdict) => {
                let known = |(kind, accepts, _): &&(&str, bool, &str)| {
                    case["kind"] == *kind && *accepts == verdict.is_some()
                };
                match OTHERWISE.iter().find(known) {
                    Some((kind, ..)) => *otherwise.get_mut(kind).unwrap() += 1,
                    None => wrong
                        .push(format!("{id}: {}", if verdict.is_some() { "accepted" } else { "refused" })),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(skipped, NOT_OFFERED.len(), "each option that is not offered is met once");
    let counts = (accepted, rejected, either);
    assert!(accepted >= 153 && rejected >= 307 && either >= 35, "{counts:?}");
    assert!(otherwise.values().all(|times| *times > 0), "{otherwise:?}");
}

/// The table of deviations is generated from the run, so it cannot drift.
#[test]
fn every_difference_from_the_packages_own_verdict_is_in_the_table() {
    let vectors = data::read("vectors", "nextauth-tokens.json");
    let mut rows: BTreeMap<(String, String), (&str, String)> = BTreeMap::new();
    for case in vectors["cases"].as_array().unwrap() {
        let (id, kind) = (case["id"].as_str().unwrap(), case["kind"].as_str().unwrap());
        if NOT_OFFERED.contains(&id) {
            continue;
        }
        let ours = if verdict(case).is_some() { "accept" } else { "reject" };
        let theirs = case["expect"].as_str().unwrap();
        if ours == theirs {
            continue;
        }
        let mode = id.split('-').next().unwrap().to_owned();
        let own =
            OTHERWISE.iter().find(|(known, ..)| *known == kind).map(|(.., reason)| (*reason).to_owned());
        let silent = if kind.starts_with("alg-") {
            "only dir is read: no key is wrapped"
        } else {
            "one spelling per token"
        };
        let note = case["note"].as_str().or(case["reason"].as_str()).unwrap_or(silent);
        let reason = own.unwrap_or_else(|| match case["recommended"].as_str() {
            Some("either") => format!("no real client or server makes it: {note}"),
            _ => note.to_owned(),
        });
        let reason = reason.replace('|', "\\|").replace('\n', " ");
        rows.insert((kind.to_owned(), mode), (if ours == "accept" { "accepted" } else { "refused" }, reason));
    }
    let mut table = String::from(
        "# Deviations from NextAuth's verdicts on tokens\n\nGenerated by the test over the recorded tokens: where Countersign \
         says otherwise than the real package, and why. v3s is v3 signed, v3e v3 encrypted, v5n and v5s are v5 under its \
         plain and its `__Secure-` cookie name.\n\nOn top of these, a session must name somebody (`sub`) and an end (`exp`).\n\n\
         | kind | format | Countersign | why |\n| --- | --- | --- | --- |\n",
    );
    for ((kind, mode), (ours, reason)) in rows {
        writeln!(table, "| {kind} | {mode} | {ours} | {reason} |").unwrap();
    }
    document::compare("deviations-tokens.md", &table);
}
