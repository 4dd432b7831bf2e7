//! Well-formed requests that nobody means: odd methods, spellings of a path, and headers that are long or senseless. None
//! breaks anything, and none is a way around a guard or into a shared cache.

use tempfile::TempDir;

use crate::service::{CHEAP, Service};
use crate::wire::{Wire, request};

#[test]
fn odd_methods_targets_and_headers_break_nothing() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(folder.path(), &CHEAP);
    let mut wire = Wire::to(service.port);
    let session = wire.enter("ada@example.com");
    let jar: (&str, &[u8]) = ("Cookie", session.as_bytes());
    let mut check = |what: &str, bytes: &[u8]| {
        let short: String = what.chars().take(60).collect();
        // Closed without an answer: more than the server reads.
        let status = wire.send(bytes).map_or(431, |answer| answer.status);
        assert!(status < 500, "{short}: {status}");
        let next = wire.get("/api/get-session-example", &[jar]).unwrap();
        assert_eq!(next.status, 200, "after {short}");
    };
    for method in ["TRACE", "OPTIONS", "CONNECT", "PROPFIND", "FOO", "get", "PRI"] {
        check(method, &request(method, "/", &[jar], b""));
    }
    let deep = "/a".repeat(5000);
    let broad = format!("/?{}", "a=b&".repeat(10_000));
    let repeated = format!("/api/auth/signin?{}", "callbackUrl=/&".repeat(3000));
    let encoded = format!("/api/auth/signin?error={}", "%25".repeat(5000));
    for target in [
        "*",
        "?x",
        "http://[::1",
        "/%ff",
        "/%00",
        "/#x",
        "/\"<>",
        "/api/auth/signin/%ff",
        "/api/auth/signin/%00",
        "/api/auth/signin?callbackUrl=%",
        "/api/auth/error/%ff",
        "/api/auth/assets/%2e%2e%2f",
        "/api/auth/account?notice=%ff",
        &deep,
        &broad,
        &repeated,
        &encoded,
    ] {
        check(target, &request("GET", target, &[jar], b""));
    }
    let long = "x".repeat(20_000);
    let headers = [
        ("Accept", "text/html;q=0.1,".repeat(3000)),
        ("Accept", "*/*;q=9999999999999999999".to_owned()),
        ("Accept", ";;;,,,".to_owned()),
        ("Accept-Language", "ko;q=0.1,".repeat(4000)),
        ("Accept-Language", "-".repeat(20_000)),
        ("Content-Type", "application/json; ".to_owned() + &"a=b; ".repeat(5000)),
        ("User-Agent", long.clone()),
        ("Origin", long.clone()),
        ("X-Request-Id", long),
        ("X-Forwarded-For", "1.1.1.1,".repeat(5000)),
        ("Range", "bytes=0-0".to_owned()),
        ("Expect", "nonsense".to_owned()),
        ("Upgrade", "websocket".to_owned()),
        ("Authorization", "Bearer ".to_owned() + &"a.".repeat(10_000)),
        ("Cookie", "a=b; ".repeat(10_000)),
        ("Cookie", format!("next-auth.session-token.{}=x", "1".repeat(10_000))),
    ];
    for (name, value) in &headers {
        for path in ["/", "/protected", "/api/auth/session", "/api/auth/signin"] {
            check(&format!("{name}: {value}"), &request("GET", path, &[(name, value.as_bytes())], b""));
        }
    }
}

/// However a guarded path is spelt, it is guarded or it is nothing; and what looks like a file is never a page that a cache
/// would keep (web cache deception).
#[test]
fn no_spelling_of_a_path_leads_around_its_guard() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(folder.path(), &CHEAP);
    let mut wire = Wire::to(service.port);
    let session = wire.enter("ada@example.com");
    let (mut guarded, mut nothing) = (0, 0);
    for path in ["/protected", "/api/get-session-example", "/api/get-token-example", "/api/auth/account"] {
        let upper = path.to_uppercase();
        let doubled = path.replacen('/', "//", 1);
        let letter = format!("/%{:02x}{}", path.as_bytes()[1], &path[2..]);
        let slashed = path.replace("/api/", "/api%2f");
        for spelling in [
            path.to_owned(),
            upper,
            doubled,
            letter,
            slashed,
            format!("{path}/"),
            format!("{path}//"),
            format!("{path}%20"),
            format!("{path}%00"),
            format!("{path}%2f"),
            format!("{path}.css"),
            format!("{path}/x.css"),
            format!("{path};.css"),
            format!("{path}%2f..%2fx.css"),
            format!("{path}%3fx.css"),
            format!("{path}?x.css"),
            format!("/.{path}"),
            format!("/x/..{path}"),
            format!("/x/%2e%2e{path}"),
        ] {
            let anonymous = wire.get(&spelling, &[]).unwrap();
            let signed_in = wire.get(&spelling, &[("Cookie", session.as_bytes())]).unwrap();
            let statuses = (anonymous.status, signed_in.status);
            match statuses {
                (401, 200) => {
                    guarded += 1;
                    assert!(signed_in.header("cache-control").contains("no-store"), "{spelling}");
                    assert!(
                        !spelling.ends_with("/x.css") && !spelling.ends_with(";.css"),
                        "{spelling} is a page"
                    );
                }
                (400 | 404, 400 | 404) => nothing += 1,
                _ => panic!("{spelling}: {statuses:?}"),
            }
        }
    }
    assert!(guarded >= 16 && nothing >= 30, "{guarded} guarded, {nothing} nothing");
}
