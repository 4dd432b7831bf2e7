//! How long session cookies are cut, piece by piece as the packages cut them.

use std::collections::BTreeMap;

use countersign::clock::Timestamp;
use countersign::session::{CookieHeader, CookieRules, Found, SetCookie};
use countersign::token::Format;
use serde_json::Value;

use crate::data;

const NOW: Timestamp = Timestamp(1_800_000_000);

/// Each cookie's name with its value's length and whether it is deleted. Browsers do not care about the order.
type Pieces = BTreeMap<String, (usize, bool)>;

fn value_of(cookie: &SetCookie) -> &str {
    let pair = cookie.header().split(';').next().unwrap();
    pair.strip_prefix(cookie.name()).and_then(|rest| rest.strip_prefix('=')).unwrap()
}

fn ours(cookies: &[SetCookie]) -> Pieces {
    let pieces: Pieces = cookies
        .iter()
        .map(|cookie| {
            let deleted = cookie.header().contains("; Max-Age=0");
            (cookie.name().to_owned(), (value_of(cookie).len(), deleted))
        })
        .collect();
    assert_eq!(pieces.len(), cookies.len(), "no cookie is set twice in one answer");
    pieces
}

fn theirs(case: &Value) -> Pieces {
    let cookies = case["set_cookies"].as_array().unwrap();
    let piece = |cookie: &Value| {
        let length = usize::try_from(cookie["length"].as_u64().unwrap()).unwrap();
        (cookie["name"].as_str().unwrap().to_owned(), (length, cookie["delete"].as_bool().unwrap()))
    };
    cookies.iter().map(piece).collect()
}

/// Of every length, with what the browser has already: the same pieces, stale ones deleted, and they read back whole.
#[test]
fn sessions_are_cut_where_the_packages_cut_them() {
    let vectors = data::read("vectors", "nextauth-tokens.json");
    let (mut cut, mut signed_out) = (0, 0);
    for case in vectors["chunking"].as_array().unwrap() {
        let format = if case["generation"] == 4 { Format::NextAuthV4 } else { Format::AuthJsV5 };
        let rules = CookieRules::new(format, false);
        let names = case["request_cookies"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let sent = names.map(|name| format!("{name}=stale")).collect::<Vec<_>>().join("; ");
        let sent = CookieHeader::parse([sent.as_str()]);
        if case["sign_out"] == true {
            // The one deviation: the plain name is deleted too, sent or not. Of all the rest nothing is left.
            let mut expected = theirs(case);
            assert_eq!(expected.insert(rules.session_name().to_owned(), (0, true)), None, "{case}");
            assert_eq!(ours(&rules.delete_session(&sent)), expected, "{case}");
            signed_out += 1;
            continue;
        }
        let length = usize::try_from(case["value_length"].as_u64().unwrap()).unwrap();
        let value: String = ('a'..='z').cycle().take(length).collect();
        let cookies = rules.session(&value, NOW, &sent);
        assert_eq!(ours(&cookies), theirs(case), "{case}");

        let kept = cookies.iter().filter(|cookie| !value_of(cookie).is_empty());
        let back = kept.map(|cookie| format!("{}={}", cookie.name(), value_of(cookie)));
        let back = back.collect::<Vec<_>>().join("; ");
        let found = CookieHeader::parse([back.as_str()]).find_chunked(rules.sought_session());
        assert!(found == Found::Value(value.into()), "{length} bytes do not read back");
        cut += 1;
    }
    assert!(cut >= 18 && signed_out >= 2, "{cut} cut, {signed_out} signed out");
}
