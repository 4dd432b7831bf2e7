//! A bounded run of every property that the fuzzer looks for: texts near the ones that mean something, any bytes, and
//! texts of a megabyte. None may panic, none may answer 5xx, and each must end soon and within bounded memory.
//!
//! `cargo fuzz run token` (and `cookies`, `bearer`, `callback_url`, `names`, `configuration`, `body`, `body_signed_in`,
//! `headers`, `redirect`) searches on.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../fuzz/properties.rs"]
mod properties;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// No input may take this long, on a machine however busy: what takes longer grows faster than its input.
const SOON: Duration = Duration::from_secs(20);

/// Runs a property, and says so when it does not end soon.
fn soon(input: &str, property: impl FnOnce(&str)) {
    let since = Instant::now();
    property(input);
    let start: String = input.chars().take(60).collect();
    assert!(since.elapsed() < SOON, "{:?} for {} bytes: {start:?}", since.elapsed(), input.len());
}

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
        soon(&text, properties::token);
    }

    #[test]
    fn cookie_headers(text in near(&["next-auth.session-token", ".0", ".1", "=", ";", "; ", "__Secure-", "authjs.session-token", "__Host-next-auth.csrf-token", "\"", "%3D", "%", "\t", ","])) {
        soon(&text, properties::cookies);
    }

    #[test]
    fn authorization_headers(text in near(&["Bearer", "bearer", "BEARER", " ", "  ", "Basic", "\t", ",", "a.b.c"])) {
        soon(&text, properties::bearer);
    }

    #[test]
    fn callback_urls(text in near(&["https:", "http:", "//", "/", "\\", "app.example.com", "evil.test", "@", "%2f", "%00", "\t", "\n", "javascript:", "?", "#", ":443", ".", "..", "。", "／"])) {
        soon(&text, properties::callback_url);
    }

    #[test]
    fn addresses_and_names(text in near(&["ada", "@", "example.com", ".", ",", " ", "\0", "\u{202e}", "ａ", "<", ">", "\"", "xn--", "+"])) {
        soon(&text, properties::names);
    }

    #[test]
    fn configurations(text in near(&["[default.auth]\n", "[release.auth.session]\n", "secret", "url", "max_age", " = ", "\n", "\"", "[", "]", "-1", "1e9", "9223372036854775807", "true", "'https://app.example.com'", "strategy", "{}", "trusted_proxies", "\"0123456789abcdefghijklmnopqrstuvwxyz\""])) {
        soon(&text, properties::configuration);
    }
}

/// A megabyte of every piece that means something to a parser: nothing is quadratic, and nothing is kept.
#[test]
fn long_inputs_take_no_longer_than_they_are() {
    const LENGTH: usize = 1_000_000;
    let pieces = [
        "a",
        ".",
        "..",
        "=",
        ";",
        "; ",
        "a=b; ",
        "%",
        "%25",
        "%ff",
        "\"",
        "\\",
        "/",
        "//",
        "@",
        "@a.",
        "[",
        "{",
        "{\"a\":",
        "[[default]]\n",
        "a.b",
        "\n",
        "\t",
        "\0",
        " ",
        "next-auth.session-token=a; ",
        "next-auth.session-token.0=a; ",
        "next-auth.session-token.1",
        "eyJhbGciOiJIUzUxMiJ9.",
        "Bearer ",
        "\u{202e}",
        "e\u{301}",
        "😀",
        "https://",
        "xn--",
        "1e9",
        "-",
    ];
    let before = memory();
    for piece in pieces {
        let text = piece.repeat(LENGTH / piece.len());
        for property in [
            properties::token,
            properties::cookies,
            properties::bearer,
            properties::callback_url,
            properties::names,
            properties::configuration,
        ] {
            soon(&text, property);
        }
    }
    assert_little_is_kept(before);
}

/// What this process takes of the machine's memory, in bytes.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Runs a property of the whole application on texts; a header holds no line break and no NUL.
fn on_a_site(cases: u32, texts: impl Strategy<Value = String>, property: impl Fn(&properties::Site, &str)) {
    let site = properties::Site::new();
    property(&site, "");
    let before = memory();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let outcome = runner.run(&texts, |text| {
        soon(&text, |text| property(&site, text));
        Ok(())
    });
    outcome.unwrap();
    assert_little_is_kept(before);
}

/// Other tests run in this process: room for them, and for one input in several forms, but not for all of them.
fn assert_little_is_kept(before: usize) {
    let grown = memory().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes more");
}

#[test]
fn headers_of_requests() {
    let pieces = near(&[
        "next-auth.session-token",
        ".0",
        ".1",
        "=",
        ";",
        "; ",
        "__Secure-",
        "%3D",
        "%00",
        "%0d%0a",
        "%",
        "\t",
        ",",
        "Bearer ",
        "Basic ",
        "eyJhbGciOiJIUzUxMiJ9",
        ".",
        "text/html",
        "*/*",
        ";q=",
        "1.5",
        "ko",
        "en-US",
        "192.0.2.1",
        "::1",
        "/64",
    ]);
    let one_line =
        |text: String| text.chars().filter(|letter| !letter.is_control() || *letter == '\t').collect();
    on_a_site(60, pieces.prop_map(one_line), properties::Site::headers);
}

#[test]
fn redirects_of_requests() {
    let pieces = near(&[
        "https:",
        "http:",
        "//",
        "/",
        "\\",
        "localhost:8000",
        "localhost",
        "evil.test",
        "@",
        "%2f",
        "%00",
        "\t",
        "\r\n",
        "javascript:",
        "?",
        "#",
        ":443",
        ":",
        ".",
        "..",
        "。",
        "／",
    ]);
    on_a_site(100, pieces, properties::Site::redirect);
}

/// Bodies of forms and JSON documents: pieces of them, and any bytes.
fn near_bodies() -> impl Strategy<Value = Vec<u8>> {
    let pieces = near(&[
        "email",
        "password",
        "name",
        "currentPassword",
        "newPassword",
        "credential",
        "code",
        "secret",
        "id",
        "provider",
        "scopes",
        "locale",
        "credentials",
        "=",
        "&",
        "ada%40example.com",
        "ada@example.com",
        "correct+horse+battery",
        "%",
        "%ff",
        "%00",
        "+",
        "{",
        "}",
        "\"",
        "\":\"",
        ",",
        "[",
        "]",
        "null",
        "csrfToken",
        "_method=DELETE",
        "json=true",
        "callbackUrl=",
        "1e999",
        "-1",
        "\\ud800",
    ]);
    prop_oneof![pieces.prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..200)]
}

/// Runs a property of a whole application on bodies, which leave nothing behind in memory.
fn with_bodies(cases: u32, property: impl Fn(&properties::Site, &[u8])) {
    let site = properties::Site::new();
    property(&site, b"");
    let before = memory();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let outcome = runner.run(&near_bodies(), |bytes| {
        soon(&String::from_utf8_lossy(&bytes), |_| property(&site, &bytes));
        Ok(())
    });
    outcome.unwrap();
    // A body may be 64 kilobytes long, and is sent to every route in several forms.
    for filler in ["a", "a=b&", "%41", "{", "[", "\"a\":1,", "\u{202e}"] {
        let long = filler.repeat(60_000 / filler.len());
        soon(&long, |long| property(&site, long.as_bytes()));
    }
    assert_little_is_kept(before);
}

#[test]
fn bodies() {
    with_bodies(40, properties::Site::body);
}

#[test]
fn bodies_of_somebody_signed_in() {
    with_bodies(100, properties::Site::body_signed_in);
}
