//! Hostile tokens over real sockets, as session cookie and as `Authorization: Bearer`. They were minted for one moment, so
//! the service that gets them is started here, with a clock that stands there.

use countersign::clock::{ManualClock, Timestamp};
use countersign::{Countersign, Session, Token};
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Toml};
use rocket::tokio::runtime::Runtime;
use serde_json::Value;
use tempfile::TempDir;

use crate::data;
use crate::service::free_port;
use crate::wire::{Reply, Wire};

#[rocket::get("/me")]
fn me(session: Session) -> String {
    session.user_id().to_string()
}

#[rocket::get("/claims")]
fn claims(token: Token) -> String {
    format!("{:?}", token.claims().get("sub"))
}

/// A service in this process, until it is dropped.
pub(crate) struct Rig {
    port: u16,
    shutdown: rocket::Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: TempDir,
}

impl Rig {
    fn start(format: &str, secrets: &[&str], now: Timestamp) -> Self {
        Self::with(format, secrets, now, "")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// With further configuration.
    pub(crate) fn with(format: &str, secrets: &[&str], now: Timestamp, more: &str) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let toml = format!(
            "[default]\nport = {port}\nlog_level = \"off\"\n[default.shutdown]\nctrlc = false\ngrace = 1\nmercy = 1\n\
             [default.auth]\nsecret = {secrets:?}\ndatabase_url = \"sqlite://{}\"\n\
             [default.auth.session]\nmax_age = 2592000\n[default.auth.jwt]\nformat = \"{format}\"\n{more}",
            folder.path().join("test.db").display()
        );
        let figment = Figment::from(rocket::Config::debug_default()).merge(Toml::string(&toml).nested());
        let (told, shutdown) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let rocket = rocket::custom(figment)
                    .attach(Countersign::fairing().clock(ManualClock::at(now)))
                    .mount("/", rocket::routes![me, claims]);
                let rocket = rocket.ignite().await.unwrap();
                told.send(rocket.shutdown()).unwrap();
                rocket.launch().await.ok();
            });
        });
        let rig = Self { port, shutdown: shutdown.recv().unwrap(), thread: Some(thread), _folder: folder };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        rig
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.clone().notify();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Sends a token by every way that can carry it.
fn by_every_way(wire: &mut Wire, cookie: &str, token: &str) -> Vec<(&'static str, Reply)> {
    let jar = format!("{cookie}={}", countersign::session::encode_component(token));
    let bearer = format!("Bearer {token}");
    let mut ways: Vec<(&str, &str, &[u8])> = vec![("cookie", "Cookie", jar.as_bytes())];
    // A header holds no control character, and its edges hold no blank.
    if !token.bytes().any(|byte| byte < 0x20 || byte == 0x7f) && token.trim() == token {
        ways.push(("bearer", "Authorization", bearer.as_bytes()));
    }
    let mut answers = Vec::new();
    for (way, name, value) in ways {
        for path in ["/me", "/claims"] {
            answers.push((way, wire.get(path, &[(name, value)]).unwrap()));
        }
    }
    answers
}

#[test]
fn hostile_tokens_open_nothing() {
    let corpus = data::read("corpus", "jwt_headers.json");
    let text = |name: &str| corpus["parameters"][name].as_str().unwrap().to_owned();
    let (secret, previous) = (text("secret"), text("previous_secret"));
    let now = Timestamp(corpus["parameters"]["frozen_now"].as_i64().unwrap());
    let (mut accepted, mut rejected) = (0, 0);
    for (profile, format, cookie) in [
        ("v3", "nextauth-v3", "next-auth.session-token"),
        ("v4", "nextauth-v4", "next-auth.session-token"),
        ("v5", "authjs-v5", "authjs.session-token"),
    ] {
        let rig = Rig::start(format, &[&secret], now);
        let rotated = Rig::start(format, &[&secret, &previous], now);
        let (mut wire, mut after) = (Wire::to(rig.port), Wire::to(rotated.port));
        let entries = corpus["entries"].as_array().unwrap().iter();
        for entry in entries.filter(|entry| entry["profile"] == profile) {
            let (id, expected) = (entry["id"].as_str().unwrap(), entry["expected"].as_str().unwrap());
            let Some(token) = entry["token"].as_str() else { continue };
            let may = matches!(expected, "accept" | "accept_if_authjs_compat");
            for (way, answer) in by_every_way(&mut wire, cookie, token) {
                if expected == "either" {
                    assert!(matches!(answer.status, 200 | 401), "{id} by {way}: {}", answer.status);
                } else if may {
                    assert_eq!(answer.status, 200, "{id} by {way}: {}", answer.body);
                    accepted += 1;
                } else {
                    refused_alike(id, entry, &answer);
                    rejected += 1;
                }
            }
            if expected == "accept_if_rotation" {
                for (way, answer) in by_every_way(&mut after, cookie, token) {
                    assert_eq!(
                        answer.status, 200,
                        "{id} by {way}, with the previous secret: {}",
                        answer.body
                    );
                    accepted += 1;
                }
            }
        }
    }
    assert!(accepted >= 40 && rejected >= 600, "{accepted} accepted, {rejected} rejected");
}

/// One answer for every reason; only that a genuine token is over may be told apart.
fn refused_alike(id: &str, entry: &Value, answer: &Reply) {
    assert_eq!(answer.status, 401, "{id}: {}", answer.body);
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    let may_be_over = code == "session_expired" && entry["category"] == "claims";
    // Nothing at all in the header is no credential.
    let may_be_missing = code == "session_missing" && entry["token"].as_str().unwrap().trim().is_empty();
    assert!(code == "session_invalid" || may_be_over || may_be_missing, "{id}: {code}");
    assert!(answer.header("cache-control").contains("no-store"), "{id}");
    assert!(answer.headers("set-cookie").is_empty(), "{id}");
}
