//! A database that freezes, drops its connections or refuses new ones, and comes back: between the service and a real
//! PostgreSQL stands a wire that the test holds.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, free_port, sign_in};

/// Everything passes.
const SOUND: u8 = 0;
/// Connections stay open, and nothing passes: a machine that hangs.
const FROZEN: u8 = 1;
/// Connections are closed, and new ones too.
const CUT: u8 = 2;
/// What was open stays open and is never answered again, and new connections pass: another machine took the address over.
const LOST: u8 = 3;
/// Everything passes but the connection by which an instance hears of revocations: that one is closed, whenever it is made.
const UNHEARD: u8 = 4;
/// The same, but that one stays open and is never answered again: nothing tells that nobody is heard.
const MUTE: u8 = 5;

/// The wire.
struct Wire {
    state: Arc<AtomicU8>,
    port: u16,
}

impl Wire {
    fn to(target: String) -> Self {
        let (state, listener) = (Arc::new(AtomicU8::new(SOUND)), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { break };
                let born = shared.load(Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let listens = Arc::new(AtomicBool::new(false));
                let one = Line { state: Arc::clone(&shared), born, listens };
                let other = one.clone();
                std::thread::spawn(move || one.carry(near, far));
                std::thread::spawn(move || other.carry(far_too, near_too));
            }
        });
        Self { state, port }
    }

    fn is(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }
}

/// One connection.
#[derive(Clone)]
struct Line {
    state: Arc<AtomicU8>,
    born: u8,
    /// Whether it is the one by which an instance hears of revocations: it says so when it begins.
    listens: Arc<AtomicBool>,
}

impl Line {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 8192];
        loop {
            match self.state.load(Ordering::SeqCst) {
                CUT => break,
                UNHEARD if self.listens.load(Ordering::SeqCst) => break,
                MUTE if self.listens.load(Ordering::SeqCst) => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                LOST if self.born == LOST => {}
                FROZEN | LOST => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                _ => {}
            }
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap();
                    if bytes.windows(LISTENER.len()).any(|found| found == LISTENER) {
                        self.listens.store(true, Ordering::SeqCst);
                    }
                    if to.write_all(bytes).is_err() {
                        break;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => break,
            }
        }
        from.shutdown(std::net::Shutdown::Both).ok();
        to.shutdown(std::net::Shutdown::Both).ok();
    }
}

/// How the connection that listens names itself.
const LISTENER: &[u8] = b"countersign listener";

/// The status of a guarded route; while it is unknown, the answer says so and touches no cookie.
fn guarded(service: &Address, session: &str) -> String {
    let answer = service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
    let status = answer.get(9..12).unwrap_or("none").to_owned();
    assert!(["200", "503"].contains(&status.as_str()), "never signed out: {answer}");
    if status == "503" {
        let head = answer.to_ascii_lowercase();
        assert!(head.contains("retry-after: ") && !head.contains("set-cookie"), "{answer}");
    }
    status
}

// ASVS: 16.5.2
#[test]
fn an_outage_is_503_and_passes() {
    for strategy in ["database", "jwt"] {
        let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
        let Some(url) = runtime.block_on(crate::postgres::fresh_database()) else { return };
        let address = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
        let wire = Wire::to(address.clone());
        let url = url.replace(&address, &format!("127.0.0.1:{}", wire.port));
        let folder = TempDir::new().unwrap();
        let mut variables = vec![
            ("COUNTERSIGN_SECRET", SECRET),
            ("COUNTERSIGN_SESSION__STRATEGY", strategy),
            ("COUNTERSIGN_DATABASE_URL", url.as_str()),
            ("COUNTERSIGN_DATABASE_TIMEOUT", "1"),
        ];
        variables.extend(CHEAP);
        let service = Service::start(folder.path(), &variables);
        let session = sign_in(&service);
        for state in [FROZEN, CUT] {
            assert_eq!(guarded(&service, &session), "200");
            wire.is(state);
            // A token is believed for a moment without the store; then nobody knows.
            let since = Instant::now();
            while guarded(&service, &session) == "200" {
                assert!(since.elapsed() < Duration::from_secs(10), "{strategy}: believed without the store");
                std::thread::sleep(Duration::from_millis(50));
            }
            let first = service.get("/api/auth/csrf", "");
            let body = format!(
                "csrfToken={}&email=ada%40example.com&password=correct+horse+battery&json=true",
                csrf(&first)
            );
            for path in ["/api/auth/callback/credentials", "/api/auth/signup", "/api/auth/signout"] {
                let answer = service.post(path, &format!("{}; {session}", cookies(&first)), &body);
                assert!(answer.starts_with("HTTP/1.1 503"), "{strategy}, {path}: {answer}");
                assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{strategy}, {path}: {answer}");
            }
            assert!(service.get("/readyz", "").contains("store_unavailable"), "{strategy}");
            assert!(service.get("/healthz", "").starts_with("HTTP/1.1 200"), "{strategy}");
            wire.is(SOUND);
            let since = Instant::now();
            while guarded(&service, &session) != "200" {
                assert!(since.elapsed() < Duration::from_secs(5), "{strategy}: still unknown after recovery");
                std::thread::sleep(Duration::from_millis(50));
            }
        }

        // The machine vanishes, and another one answers in its place: whatever was open is dead without a word.
        wire.is(LOST);
        let since = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        while guarded(&service, &session) != "200" || !signs_in(&service) {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "{strategy}: the pool is full of dead connections"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn signs_in(service: &Address) -> bool {
    let first = service.get("/api/auth/csrf", "");
    let body = format!(
        "csrfToken={}&email=ada%40example.com&password=correct+horse+battery&json=true",
        csrf(&first)
    );
    let answer = service.post("/api/auth/callback/credentials", &cookies(&first), &body);
    assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 503"), "{answer}");
    answer.starts_with("HTTP/1.1 200")
}

/// Calls to the database so far, as the metrics count them.
fn store_calls(metrics: &Address) -> usize {
    let printed = metrics.get("/metrics", "");
    let counts =
        printed.lines().filter(|line| line.starts_with("countersign_store_call_duration_seconds_count"));
    let count = |line: &str| line.rsplit(' ').next().and_then(|text| text.parse::<usize>().ok()).unwrap();
    let counts: Vec<usize> = counts.map(count).collect();
    assert!(!counts.is_empty(), "{printed}");
    counts.iter().sum()
}

/// How many calls a hundred requests with a session take.
fn calls_of_a_hundred(service: &Address, metrics: &Address, session: &str) -> usize {
    let before = store_calls(metrics);
    for _ in 0..100 {
        assert_eq!(guarded(service, session), "200");
    }
    store_calls(metrics) - before
}

/// Asks again until a hundred requests take as many calls as expected.
fn until(what: &str, mut calls: impl FnMut() -> usize, is_so: impl Fn(usize) -> bool) {
    let since = Instant::now();
    loop {
        let found = calls();
        if is_so(found) {
            return;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{what}: {found} calls for 100 requests");
    }
}

/// Two instances on one database, of which one reaches it by a wire.
struct Apart {
    wire: Wire,
    deaf: Service,
    other: Service,
    metrics: Address,
    _folder: TempDir,
}

impl Apart {
    fn start(strategy: &str) -> Option<Self> {
        let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
        let direct = runtime.block_on(crate::postgres::fresh_database())?;
        let address = direct.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
        let wire = Wire::to(address.clone());
        let through = direct.replace(&address, &format!("127.0.0.1:{}", wire.port));
        // Without TLS the wire can read who speaks.
        let mark = if through.contains('?') { '&' } else { '?' };
        let through = format!("{through}{mark}sslmode=disable");
        let folder = TempDir::new().unwrap();
        let metrics = Address { port: free_port() };
        let listen = format!("127.0.0.1:{}", metrics.port);
        let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_SESSION__STRATEGY", strategy)];
        variables.extend(CHEAP);
        let with = |more: &[(&'static str, &str)]| {
            let mut all: Vec<(&str, &str)> = variables.clone();
            all.extend(more);
            Service::start(folder.path(), &all)
        };
        let deaf = with(&[("COUNTERSIGN_DATABASE_URL", &through), ("COUNTERSIGN_METRICS", &listen)]);
        let other = with(&[("COUNTERSIGN_DATABASE_URL", &direct)]);
        Some(Self { wire, deaf, other, metrics, _folder: folder })
    }

    /// Ends a session at the instance that is heard.
    fn end(&self, session: &str) {
        let first = self.other.get("/api/auth/csrf", "");
        let body = format!("csrfToken={}&json=true", csrf(&first));
        let out = self.other.post("/api/auth/signout", &format!("{}; {session}", cookies(&first)), &body);
        assert!(out.starts_with("HTTP/1.1 200"), "{out}");
    }
}

/// The connection by which an instance hears of revocations died without a word: what happens elsewhere is known within the
/// bound all the same.
#[test]
fn a_connection_that_died_silently_delays_no_revocation_beyond_the_bound() {
    for strategy in ["database", "jwt"] {
        let Some(apart) = Apart::start(strategy) else { return };
        let deaf = &apart.deaf;
        for round in 0..3 {
            let ended = sign_in(&apart.other);
            assert_eq!(guarded(deaf, &ended), "200", "{strategy}: it is in mind");
            apart.wire.is(MUTE);
            apart.end(&ended);
            let since = Instant::now();
            let is_open = || {
                let answer = deaf.get("/api/get-session-example", &format!("Cookie: {ended}\r\n"));
                assert!(!answer.starts_with("HTTP/1.1 5"), "{strategy}: {answer}");
                answer.starts_with("HTTP/1.1 200")
            };
            while is_open() {
                let bound = countersign::session::STALE_AFTER;
                assert!(since.elapsed() < bound, "{strategy}, round {round}: a session goes on");
            }
            apart.wire.is(SOUND);
        }
    }
}

/// While nobody is heard, what is remembered is not believed: what happens elsewhere counts with the next request.
#[test]
fn while_nobody_is_heard_every_guard_asks_the_database() {
    for strategy in ["database", "jwt"] {
        let Some(apart) = Apart::start(strategy) else { return };
        let Apart { wire, deaf, other, metrics, .. } = &apart;
        let (kept, ended) = (sign_in(other), sign_in(other));
        let calls = || calls_of_a_hundred(deaf, metrics, &kept);
        // The database is asked from time to time anyway: each second, for what others revoked.
        until("heard", calls, |calls| calls < 80);
        assert_eq!(guarded(deaf, &ended), "200", "{strategy}: it is in mind");

        wire.is(UNHEARD);
        until("cut", calls, |calls| calls >= 100);
        apart.end(&ended);
        let answer = deaf.get("/api/get-session-example", &format!("Cookie: {ended}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401"), "{strategy}: with the very next request: {answer}");
        assert!(calls() >= 100, "{strategy}: still");

        wire.is(SOUND);
        until("heard again", calls, |calls| calls < 80);
    }
}
