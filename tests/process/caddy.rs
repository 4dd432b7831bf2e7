//! Behind Debian's Caddy with deploy/Caddyfile as it is shipped: only where it listens and where Rocket does are filled in,
//! and its own administration, which has one port for the whole machine, is off.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::listening::Listening;
use crate::needed;
use crate::service::{Service, free_port, sign_in};
use crate::wire::{Wire, form, request};

const CADDY: &str = "/usr/bin/caddy";

const FORM: (&str, &[u8]) = ("Content-Type", b"application/x-www-form-urlencoded");

fn is_installed() -> bool {
    needed::is_installed(CADDY, "caddy")
}

fn shipped() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/Caddyfile")).unwrap()
}

/// Caddy, keeping what it keeps in a folder of the test's own.
fn caddy(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(CADDY);
    command.args(arguments).args(["--adapter", "caddyfile"]).current_dir(folder).env("HOME", folder);
    command.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder).stdin(Stdio::null());
    command
}

/// Caddy with the shipped file, and this test's ports in it. It ends TLS in earnest; here the wire is plain.
fn before(upstream: u16, folder: &Path) -> Listening {
    let port = free_port();
    let mut text = shipped();
    for (from, to) in [
        ("\n{\n", "\n{\n\tadmin off\n".to_owned()),
        ("\napp.example.com {\n", format!("\nhttp://localhost:{port} {{\n")),
        ("reverse_proxy 127.0.0.1:8000 {", format!("reverse_proxy 127.0.0.1:{upstream} {{")),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from:?}");
        text = text.replace(from, &to);
    }
    std::fs::write(folder.join("Caddyfile"), text).unwrap();
    let mut command = caddy(folder, &["run", "--config", "Caddyfile"]);
    Listening::start(&mut command, port, &folder.join("caddy.log"))
}

/// A service behind it, that trusts it.
fn pair(folder: &Path) -> (Service, Listening) {
    Listening::before_a_service(folder, "[\"127.0.0.1\", \"::1\"]", before)
}

#[test]
fn the_shipped_file_is_valid_as_it_is() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let validate = |text: &str| {
        std::fs::write(folder.path().join("Caddyfile"), text).unwrap();
        caddy(folder.path(), &["validate", "--config", "Caddyfile"]).output().unwrap()
    };
    let output = validate(&shipped());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The control: a word that Caddy does not know is a complaint.
    assert!(!validate(&shipped().replace("health_uri", "health_url")).status.success());
}

#[test]
fn people_sign_in_through_it_and_nobody_speaks_for_another_address() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (_service, proxy) = pair(folder.path());
    let session = sign_in(&proxy.address);
    let mut wire = Wire::to(proxy.address.port);
    let padding = format!("{session}; a={}", "b".repeat(12_000));
    for cookie in [session.as_str(), padding.as_str()] {
        let answer = wire.get("/api/get-session-example", &[("Cookie", cookie.as_bytes())]).unwrap();
        assert_eq!(answer.status, 200);
    }
    let (cookie, token) = wire.pair();
    let fields = [("csrfToken", token.as_str()), ("email", "ada@example.com"), ("password", "a wrong guess")];
    let mut limited = 0;
    for number in 0..8 {
        let claimed = format!("198.51.100.{number}");
        let headers: [(&str, &[u8]); 6] = [
            FORM,
            ("Cookie", cookie.as_bytes()),
            ("X-Forwarded-For", claimed.as_bytes()),
            ("X-Real-IP", claimed.as_bytes()),
            ("Forwarded", claimed.as_bytes()),
            ("X-Client-IP", claimed.as_bytes()),
        ];
        let guess = request("POST", "/api/auth/callback/credentials", &headers, &form(&fields));
        limited += usize::from(wire.send(&guess).unwrap().status == 429);
    }
    assert_eq!(limited, 3, "five guesses are allowed, from wherever they claim to come");
}

/// A server that tells the test what it is sent, and answers everything.
fn recorder() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut piece = [0; 4096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(length) if length > 0 => head.extend_from_slice(&piece[..length]),
                    _ => break,
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").ok();
            if told.send(String::from_utf8_lossy(&head).to_ascii_lowercase()).is_err() {
                return;
            }
        }
    });
    (port, requests)
}

/// Which headers Rocket gets: the client's own words about itself are not among them.
#[test]
fn what_a_client_says_about_itself_is_not_passed_on() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (port, requests) = recorder();
    let proxy = before(port, folder.path());
    let headers: [(&str, &[u8]); 6] = [
        ("X-Forwarded-For", b"198.51.100.1"),
        ("X-Forwarded-Host", b"evil.example"),
        ("X-Forwarded-Proto", b"gopher"),
        ("X-Real-IP", b"198.51.100.1"),
        ("Forwarded", b"for=198.51.100.1;host=evil.example"),
        ("X-Request-Id", b"forged"),
    ];
    let answer = Wire::to(proxy.address.port).get("/hello?x=1", &headers).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    // Its own questions after the health of an instance come in between.
    let mut requests = std::iter::from_fn(|| requests.recv_timeout(Duration::from_secs(30)).ok());
    let head = requests.find(|head| head.starts_with("get /hello?x=1 ")).unwrap();
    for expected in ["\r\nhost: localhost\r\n", "\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx-request-id: "] {
        assert!(head.contains(expected), "{expected:?} is not in {head}");
    }
    for forged in ["198.51.100.1", "evil.example", "gopher", "forged"] {
        assert!(!head.contains(forged), "{forged} is in {head}");
    }
    assert!(requests.any(|head| head.starts_with("get /readyz ")), "it asks whether the instance is ready");
}

/// What is too much is refused, and what never ends is ended.
#[test]
fn what_is_too_long_or_too_slow_ends_there() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (service, proxy) = pair(folder.path());
    let mut wire = Wire::to(proxy.address.port);
    let answer = wire.send(&request("POST", "/api/auth/signout", &[FORM], &vec![b'a'; 70_000])).unwrap();
    // Caddy 2.6 calls its own refusal a failure of the upstream.
    assert!(matches!(answer.status, 413 | 502), "a body of 70 KB: {}", answer.status);
    let long = "b".repeat(200_000);
    let answer = Wire::to(proxy.address.port).get("/", &[("X", long.as_bytes())]);
    assert!(answer.is_none_or(|answer| answer.status == 431), "a header of 200 KB");
    let files = service.files();
    let begin = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.address.port)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let mut slow: Vec<TcpStream> =
        (0..200).map(|_| begin(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")).collect();
    let reached = service.files().saturating_sub(files);
    assert!(reached <= 4, "{reached} half-open connections reached Rocket");
    slow.push(begin(
        b"POST /api/auth/signout HTTP/1.1\r\nHost: localhost\r\n\
          Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ncsrf",
    ));
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let ended = stream.read_to_end(&mut Vec::new());
        let reset = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(ended.is_ok() || ended.is_err_and(reset), "a slow connection was left open");
    }
    assert!(proxy.address.get("/healthz", "").starts_with("HTTP/1.1 200"), "and people are answered");
}
