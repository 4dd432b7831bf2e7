//! A database that freezes, drops its connections or refuses new ones, and comes back: between the service and a real
//! PostgreSQL stands a wire that the test holds.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, sign_in};

/// Everything passes.
const SOUND: u8 = 0;
/// Connections stay open, and nothing passes: a machine that hangs.
const FROZEN: u8 = 1;
/// Connections are closed, and new ones too.
const CUT: u8 = 2;
/// What was open stays open and is never answered again, and new connections pass: another machine took the address over.
const LOST: u8 = 3;

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
                let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
                std::thread::spawn(move || carry(near, far, &one, born));
                std::thread::spawn(move || carry(far_too, near_too, &other, born));
            }
        });
        Self { state, port }
    }

    fn is(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8, born: u8) {
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 8192];
    loop {
        match state.load(Ordering::SeqCst) {
            CUT => break,
            LOST if born == LOST => {}
            FROZEN | LOST => {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            _ => {}
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if to.write_all(buffer.get(..count).unwrap()).is_err() {
                    break;
                }
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    from.shutdown(std::net::Shutdown::Both).ok();
    to.shutdown(std::net::Shutdown::Both).ok();
}

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
