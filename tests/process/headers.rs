//! Headers that claim where the site is, whom a request comes from and what it is: configuration alone says the first,
//! the socket (or a listed proxy) the second, and the request line the third.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use tempfile::TempDir;

use crate::service::{CHEAP, SECRET, Service};
use crate::wire::{Reply, Wire, form, read, request};

pub(crate) const ORIGIN: &str = "https://app.example.com";

/// A way to lie: lines in the place of `Host`, further lines, and what stands before the target's path.
pub(crate) struct Lie {
    pub(crate) name: &'static str,
    host: &'static str,
    lines: &'static str,
    before: &'static str,
}

const HOST: &str = "Host: app.example.com\r\n";

const fn host(name: &'static str, host: &'static str) -> Lie {
    Lie { name, host, lines: "", before: "" }
}

const fn line(lines: &'static str) -> Lie {
    Lie { name: lines, host: HOST, lines, before: "" }
}

pub(crate) const LIES: [Lie; 27] = [
    host("another host", "Host: evil.example\r\n"),
    host("two hosts", "Host: app.example.com\r\nHost: evil.example\r\n"),
    host("two hosts, turned", "Host: evil.example\r\nHost: app.example.com\r\n"),
    host("a user in the host", "Host: app.example.com@evil.example\r\n"),
    host("a blank in the host", "Host: app.example.com evil.example\r\n"),
    host("a port that is none", "Host: evil.example:99999\r\n"),
    host("a path in the host", "Host: evil.example/app.example.com\r\n"),
    host("an empty host", "Host:\r\n"),
    host("no host", ""),
    Lie { name: "an absolute target", host: HOST, lines: "", before: "http://evil.example" },
    Lie {
        name: "an absolute target with a user",
        host: HOST,
        lines: "",
        before: "https://app.example.com@evil.example",
    },
    line("X-Forwarded-Host: evil.example\r\n"),
    line("X-Forwarded-Proto: http\r\n"),
    line("X-Forwarded-Scheme: http\r\n"),
    line("X-Forwarded-Port: 81\r\n"),
    line("X-Forwarded-Prefix: /evil\r\n"),
    line("X-Forwarded-Server: evil.example\r\n"),
    line("X-Forwarded-For: evil.example\r\n"),
    line("Forwarded: for=192.0.2.9;host=evil.example;proto=http\r\n"),
    line("X-Host: evil.example\r\nX-Original-Host: evil.example\r\n"),
    line("X-Original-URL: /evil\r\n"),
    line("X-Rewrite-URL: /evil\r\n"),
    line("X-HTTP-Method-Override: DELETE\r\n"),
    line("X-HTTP-Method: PUT\r\nX-Method-Override: PATCH\r\n"),
    line("Front-End-Https: off\r\nX-Url-Scheme: http\r\n"),
    line("Referer: https://evil.example/\r\n"),
    line("Via: 1.1 evil.example\r\nX-Real-IP: 192.0.2.9\r\n"),
];

pub(crate) const HONEST: Lie = Lie { name: "the truth", host: HOST, lines: "", before: "" };

/// Everything that has a link, a redirect or a cookie in it.
fn probes(pair: &(String, String), session: &str) -> Vec<(&'static str, &'static str, String, Vec<u8>)> {
    let page = "Accept: text/html\r\n".to_owned();
    let jar = format!("Cookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n", pair.0);
    let token = pair.1.as_str();
    let sign_in = [
        ("csrfToken", token),
        ("email", "ada@example.com"),
        ("password", "correct horse battery"),
        ("callbackUrl", "/x"),
    ];
    vec![
        ("GET", "/", page.clone(), Vec::new()),
        ("GET", "/protected", page.clone(), Vec::new()),
        ("GET", "/protected", format!("{page}Cookie: {session}\r\n"), Vec::new()),
        ("GET", "/api/auth/signin?callbackUrl=/x", page.clone(), Vec::new()),
        ("GET", "/api/auth/error?error=AccessDenied", page, Vec::new()),
        ("GET", "/api/auth/providers", String::new(), Vec::new()),
        ("GET", "/api/auth/csrf", String::new(), Vec::new()),
        ("GET", "/api/auth/session", format!("Cookie: {session}\r\n"), Vec::new()),
        ("GET", "/api/get-session-example", String::new(), Vec::new()),
        (
            "POST",
            "/api/auth/signin/credentials",
            jar.clone(),
            form(&[("csrfToken", token), ("callbackUrl", "/x")]),
        ),
        ("POST", "/api/auth/signout", jar.clone(), form(&[("csrfToken", token), ("callbackUrl", "/x")])),
        ("POST", "/api/auth/callback/credentials", jar, form(&sign_in)),
    ]
}

/// One answer over a connection of its own; `None` when the server closes without.
pub(crate) fn ask(
    port: u16,
    lie: &Lie,
    (method, target, headers, body): &(&str, &str, String, Vec<u8>),
) -> Option<Reply> {
    let length =
        if *method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let Lie { host, lines, before, .. } = lie;
    let head = format!(
        "{method} {before}{target} HTTP/1.1\r\n{host}{lines}{headers}{length}Connection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    read(&mut BufReader::new(stream), false)
}

/// An answer without what differs from one time to the next: tokens, session ids, moments.
fn settled(answer: &Reply) -> String {
    let is_chance = |part: &str| part.len() > 12 && part.bytes().any(|byte| byte.is_ascii_digit());
    let mask = |text: &str| {
        let parts =
            text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric() && !"-_".contains(letter));
        parts.map(|part| if is_chance(part) { "*" } else { part }).collect::<String>()
    };
    let cookie = |header: &str| {
        let (pair, attributes) = header.split_once("; ").unwrap();
        let name = pair.split('=').next().unwrap();
        let kept: Vec<&str> =
            attributes.split("; ").filter(|attribute| !attribute.starts_with("Expires")).collect();
        format!("{name}; {}", kept.join("; "))
    };
    let mut cookies: Vec<String> = answer.headers("set-cookie").into_iter().map(cookie).collect();
    cookies.sort();
    format!("{} {} {cookies:?}\n{}", answer.status, answer.header("location"), mask(&answer.body))
}

#[test]
fn where_the_site_is_comes_from_configuration_alone() {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![
        ("COUNTERSIGN_URL", ORIGIN),
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
    ];
    variables.extend(CHEAP);
    let service = Service::start(folder.path(), &variables);
    // The first request of all is a lie: nothing is learnt from it.
    ask(service.port, &LIES[0], &("GET", "/", String::new(), Vec::new()));
    let mut wire = Wire::to(service.port);
    let session = wire.enter("ada@example.com");
    let pair = wire.pair();
    let probes = probes(&pair, &session);
    let truth: Vec<String> =
        probes.iter().map(|probe| settled(&ask(service.port, &HONEST, probe).unwrap())).collect();
    // The control: these answers do hold what could be lied about.
    let all = truth.join("\n");
    for expected in [
        "https://app.example.com/api/auth/signin?callbackUrl=",
        "https://app.example.com/api/auth/callback/credentials",
        "302 https://app.example.com/x ",
        "__Secure-next-auth.session-token; HttpOnly; SameSite=Lax; Secure; Path=/",
        "__Host-next-auth.csrf-token; HttpOnly; SameSite=Lax; Secure; Path=/",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
    let mut refused = 0;
    for lie in &LIES {
        for (probe, truth) in probes.iter().zip(&truth) {
            let answer = ask(service.port, lie, probe);
            let Some(answer) = answer.filter(|answer| answer.status != 400) else {
                refused += 1;
                continue;
            };
            assert_eq!(&settled(&answer), truth, "{} {}: {}", probe.0, probe.1, lie.name);
        }
    }
    assert!(refused < LIES.len() * probes.len() / 2, "{refused} were refused");
}

/// Wrong guesses at so many names, each from the address that the header of a proxy tells. The statuses.
fn guesses(service: &Service, addresses: impl Iterator<Item = String>, start: usize) -> Vec<u16> {
    let mut wire = Wire::to(service.port);
    let (cookie, token) = wire.pair();
    let mut found = Vec::new();
    for (number, address) in addresses.enumerate() {
        let email = format!("somebody{}@example.com", start + number);
        let body = form(&[
            ("csrfToken", &token),
            ("email", &email),
            ("password", "a wrong guess"),
            ("json", "true"),
        ]);
        let headers: [(&str, &[u8]); 4] = [
            ("Content-Type", b"application/x-www-form-urlencoded"),
            ("Cookie", cookie.as_bytes()),
            ("X-Forwarded-For", address.as_bytes()),
            ("X-Real-IP", address.as_bytes()),
        ];
        found.push(
            wire.send(&request("POST", "/api/auth/callback/credentials", &headers, &body)).unwrap().status,
        );
    }
    found
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

#[test]
fn a_listed_proxy_speaks_for_its_clients_and_a_network_is_one_client() {
    let folder = TempDir::new().unwrap();
    let mut variables =
        vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.1\"]")];
    variables.extend(CHEAP);
    let service = Service::start(folder.path(), &variables);
    // A thousand addresses of one /64, in every spelling, are one client.
    let spell = |number: usize| {
        let text = format!("2001:db8:1:2::{number:x}");
        if number.is_multiple_of(2) {
            text.to_uppercase()
        } else {
            format!("2001:0db8:0001:0002:0:0:0:{number:x}")
        }
    };
    let found = guesses(&service, (1..=1000).map(spell), 0);
    assert_eq!((count(&found, 401), count(&found, 429)), (50, 950));
    // The next network is another, and so is everybody else.
    assert_eq!(guesses(&service, ["2001:db8:1:3::1".to_owned()].into_iter(), 2000), [401]);
    // An IPv4 address in IPv6's clothes is that address.
    let both = (0_u32..60).map(|number| {
        if number.is_multiple_of(2) { "192.0.2.1".to_owned() } else { "::FFFF:192.0.2.1".to_owned() }
    });
    let found = guesses(&service, both, 3000);
    assert_eq!((count(&found, 401), count(&found, 429)), (50, 10));
    // What stands before the proxy's own word is the client's claim.
    let claims = (0..60).map(|number| format!("203.0.113.{number}, 198.51.100.7"));
    let found = guesses(&service, claims, 4000);
    assert_eq!((count(&found, 401), count(&found, 429)), (50, 10));
}

#[test]
fn nobody_else_speaks_for_anybody() {
    let folder = TempDir::new().unwrap();
    // A proxy is listed, but it is another machine.
    let mut variables =
        vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_TRUSTED_PROXIES", "[\"192.0.2.1\"]")];
    variables.extend(CHEAP);
    let service = Service::start(folder.path(), &variables);
    let found = guesses(&service, (0..60).map(|number| format!("203.0.113.{number}")), 0);
    assert_eq!((count(&found, 401), count(&found, 429)), (50, 10));
}
