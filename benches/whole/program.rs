//! The program itself, as it is installed: how soon it serves, and what a flood of sign-ins does to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use argon2::Argon2;

use crate::app::SECRET;
use crate::load::{median, resident};
use crate::{Owned, say};

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
const PASSWORD: &str = "correct horse battery";

/// The service in a folder of its own.
struct Running {
    child: Owned,
    port: u16,
    /// From the start of the process to its first answer.
    serving_after: Duration,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").current_dir(folder).env_clear();
        command.env("COUNTERSIGN_SECRET", SECRET).env("COUNTERSIGN_URL", format!("http://localhost:{port}"));
        // Attempts under way count until they were right; eight browsers are one account at one address here.
        for limit in ["PER_ACCOUNT", "PER_ACCOUNT_EVERYWHERE", "PER_ADDRESS"] {
            command.env(format!("COUNTERSIGN_LIMITS__{limit}"), "1000000");
        }
        command.env("ROCKET_PORT", port.to_string()).env("ROCKET_PROFILE", "release");
        command.env("ROCKET_LOG_LEVEL", "off").stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = Owned(command.spawn().unwrap());
        let mut running = Self { child, port, serving_after: Duration::ZERO };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the service did not start");
            std::thread::sleep(Duration::from_micros(200));
        }
        let status = Connection::to(port).ask("GET", "/healthz", "", "").0;
        assert_eq!(status, 200);
        running.serving_after = begun.elapsed();
        running
    }
}

/// A connection that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self(BufReader::new(socket))
    }

    /// Status, cookies that were set, and body.
    fn ask(&mut self, method: &str, path: &str, cookies: &str, form: &str) -> (u16, String, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length, mut set) = (0, 0, Vec::new());
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "set-cookie" => set.push(value.split(';').next().unwrap().to_owned()),
                start if start.starts_with("http/1.1 ") => status = start[9..12].parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, set.join("; "), String::from_utf8(body).unwrap())
    }

    /// A CSRF token and the cookies that belong to it.
    fn csrf(&mut self) -> (String, String) {
        let (_, cookies, body) = self.ask("GET", "/api/auth/csrf", "", "");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (body.get("csrfToken").unwrap().as_str().unwrap().to_owned(), cookies)
    }
}

/// From exec to the first answer, on a database that is there.
pub(crate) fn startup() {
    let folder = tempfile::tempdir().unwrap();
    drop(Running::start(folder.path()));
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let running = Running::start(folder.path());
        times.push(running.serving_after.as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(300));
        memory.push(resident(running.child.0.id()));
    }
    let (least, most) = times.iter().fold((f64::MAX, 0_f64), |(a, b), time| (a.min(*time), b.max(*time)));
    let size = std::fs::metadata(PROGRAM).unwrap().len() as f64 / 1e6;
    say("| what | figure |\n| --- | ---: |");
    say(&format!("| from exec to the first answer, median of 21 | {:.1} ms |", median(times)));
    say(&format!("| least and most | {least:.1} to {most:.1} ms |"));
    say(&format!("| resident at rest | {:.1} MB |", median(memory)));
    say(&format!("| the program | {size:.1} MB |"));
}

/// What a guarded request waits, quiet and while passwords are checked as fast as the machine can.
pub(crate) fn flood() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path());
    let port = service.port;
    let (token, cookies) = Connection::to(port).csrf();
    let form = format!("csrfToken={token}&email=ada%40example.com&password={PASSWORD}&json=true");
    assert!(Connection::to(port).ask("POST", "/api/auth/signup", &cookies, &form).0 < 300);
    let (status, session, _) =
        Connection::to(port).ask("POST", "/api/auth/callback/credentials", &cookies, &form);
    assert_eq!(status, 200);
    let bare = bare_hashes(Duration::from_secs(10));
    let alone = signed_in_per_second(port, &cookies, &form, Duration::from_secs(10), || {});
    let quiet = waits(port, &session);
    let mut flooded = Vec::new();
    signed_in_per_second(port, &cookies, &form, Duration::from_secs(12), || flooded = waits(port, &session));
    say("| what | figure |\n| --- | ---: |");
    say(&format!("| bare Argon2id on all cores | {bare:.1} hashes/s |"));
    say(&format!("| sign-ins | {alone:.1} per second |"));
    say(&format!("| ratio | {:.3} |", alone / bare));
    for (name, mut waits) in [("quiet", quiet), ("in the flood", flooded)] {
        waits.sort_by(f64::total_cmp);
        let at = |percent: usize| waits.get(waits.len() * percent / 100).unwrap();
        say(&format!("| guarded route, {name}: p50, p99 | {:.2} ms, {:.2} ms |", at(50), at(99)));
    }
}

/// Hashes per second of the bare function, one thread a core, with the parameters that are the default.
fn bare_hashes(time: Duration) -> f64 {
    let cores = std::thread::available_parallelism().unwrap().get();
    let done = AtomicU32::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut output = [0; 32];
                while begun.elapsed() < time {
                    Argon2::default().hash_password_into(PASSWORD.as_bytes(), &[7; 16], &mut output).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    f64::from(done.into_inner()) / begun.elapsed().as_secs_f64()
}

/// Sign-ins per second while four browsers a core do nothing else; `meanwhile` runs in their midst.
fn signed_in_per_second(
    port: u16,
    cookies: &str,
    form: &str,
    time: Duration,
    meanwhile: impl FnOnce(),
) -> f64 {
    let (done, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = Connection::to(port);
                while !over.load(Ordering::Relaxed) {
                    let (status, ..) =
                        connection.ask("POST", "/api/auth/callback/credentials", cookies, form);
                    if status == 200 {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        meanwhile();
        std::thread::sleep(time.saturating_sub(begun.elapsed()));
        over.store(true, Ordering::Relaxed);
    });
    f64::from(done.into_inner()) / begun.elapsed().as_secs_f64()
}

/// What each of two thousand requests to a guarded route waits, milliseconds: one every five.
fn waits(port: u16, session: &str) -> Vec<f64> {
    let mut connection = Connection::to(port);
    let ask = |connection: &mut Connection| {
        let begun = Instant::now();
        let (status, ..) = connection.ask("GET", "/api/get-session-example", session, "");
        let waited = begun.elapsed().as_secs_f64() * 1000.0;
        assert_eq!(status, 200);
        std::thread::sleep(Duration::from_millis(5));
        waited
    };
    (0..2000).map(|_| ask(&mut connection)).collect()
}
