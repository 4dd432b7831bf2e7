//! A bounded run of every property that the fuzzer looks for: texts near the ones that mean something, and any bytes.
//!
//! `cargo fuzz run token` (and `cookies`, `bearer`, `callback_url`, `names`, `configuration`, `body`) searches on.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../fuzz/properties.rs"]
mod properties;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Text built of pieces that matter to a parser, and of anything else.
fn near(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => ".{0,12}",
        1 => "[ -~]{0,12}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn tokens(text in near(&[".", "..", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0", "eyJhbGciOiJIUzUxMiJ9", "e30", "AAAA", "=", "eyJhbGciOiJub25lIn0"])) {
        properties::token(&text);
    }

    #[test]
    fn cookie_headers(text in near(&["next-auth.session-token", ".0", ".1", "=", ";", "; ", "__Secure-", "authjs.session-token", "__Host-next-auth.csrf-token", "\"", "%3D", "%", "\t", ","])) {
        properties::cookies(&text);
    }

    #[test]
    fn authorization_headers(text in near(&["Bearer", "bearer", "BEARER", " ", "  ", "Basic", "\t", ",", "a.b.c"])) {
        properties::bearer(&text);
    }

    #[test]
    fn callback_urls(text in near(&["https:", "http:", "//", "/", "\\", "app.example.com", "evil.test", "@", "%2f", "%00", "\t", "\n", "javascript:", "?", "#", ":443", ".", "..", "。", "／"])) {
        properties::callback_url(&text);
    }

    #[test]
    fn addresses_and_names(text in near(&["ada", "@", "example.com", ".", ",", " ", "\0", "\u{202e}", "ａ", "<", ">", "\"", "xn--", "+"])) {
        properties::names(&text);
    }

    #[test]
    fn configurations(text in near(&["[default.auth]\n", "[release.auth.session]\n", "secret", "url", "max_age", " = ", "\n", "\"", "[", "]", "-1", "1e9", "9223372036854775807", "true", "'https://app.example.com'", "strategy", "{}", "trusted_proxies", "\"0123456789abcdefghijklmnopqrstuvwxyz\""])) {
        properties::configuration(&text);
    }
}

#[test]
fn bodies() {
    let site = properties::Site::new();
    let pieces = near(&[
        "email",
        "password",
        "name",
        "=",
        "&",
        "ada%40example.com",
        "%",
        "%ff",
        "+",
        "{",
        "}",
        "\"",
        ":",
        "[",
        "]",
        "null",
        "csrfToken",
        "_method=DELETE",
        "json=true",
        "callbackUrl=",
        "1e999",
        "\\ud800",
    ]);
    let any = prop::collection::vec(any::<u8>(), 0..200);
    let inputs = prop_oneof![pieces.prop_map(String::into_bytes), any];
    let mut runner = TestRunner::new(ProptestConfig::with_cases(40));
    let outcome = runner.run(&inputs, |bytes| {
        site.body(&bytes);
        Ok(())
    });
    outcome.unwrap();
}
