//! The program itself, as it is installed: how soon it serves, and what a flood of sign-ins does to it.

use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use argon2::Argon2;

use crate::app::{EMAIL, SECRET};
use crate::load::{median, resident};
use crate::service::{Service, free_port, program};
use crate::wire::Wire;
use crate::{Owned, say};

const PASSWORD: &str = "correct horse battery";

/// Rounds of a flood of sign-ins, and how long each of the two compared lasts.
const FLOOD_ROUNDS: usize = 7;
const FLOOD_ROUND: Duration = Duration::from_secs(4);

/// What both ask of the service.
const SITE: [(&str, &str); 3] = [
    ("COUNTERSIGN_SECRET", SECRET),
    ("COUNTERSIGN_URL", "http://localhost:8000"),
    ("ROCKET_PROFILE", "release"),
];

/// Attempts under way count until they were right, and eight browsers are one account at one address here, with a session of
/// each sign-in.
const OPEN: [(&str, &str); 4] = [
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT_EVERYWHERE", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"),
    ("COUNTERSIGN_SESSION__MAX_PER_USER", "10000"),
];

/// The program, and what passed from its start to its first answer. It is asked more often than a test would.
fn begin(folder: &Path) -> (Owned, Duration) {
    let port = free_port();
    let mut command = program(folder, &["serve"], &SITE);
    command.env("ROCKET_PORT", port.to_string()).env("ROCKET_LOG_LEVEL", "off");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let child = Owned(command.spawn().unwrap());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the service did not start");
        std::thread::sleep(Duration::from_micros(200));
    }
    assert_eq!(Wire::to(port).get("/healthz", &[]).unwrap().status, 200);
    (child, begun.elapsed())
}

/// From exec to the first answer, on a database that is there.
pub(crate) fn startup() {
    let folder = tempfile::tempdir().unwrap();
    drop(begin(folder.path()));
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let (child, serving_after) = begin(folder.path());
        times.push(serving_after.as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(300));
        memory.push(resident(child.0.id()));
    }
    let (least, most) = times.iter().fold((f64::MAX, 0_f64), |(a, b), time| (a.min(*time), b.max(*time)));
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_countersign")).unwrap().len() as f64 / 1e6;
    say("| what | figure |\n| --- | ---: |");
    say(&format!("| from exec to the first answer, median of 21 | {:.1} ms |", median(times)));
    say(&format!("| least and most | {least:.1} to {most:.1} ms |"));
    say(&format!("| resident at rest | {:.1} MB |", median(memory)));
    say(&format!("| the program | {size:.1} MB |"));
}

/// What a guarded request waits, quiet and while passwords are checked as fast as the machine can.
pub(crate) fn flood() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[SITE.as_slice(), &OPEN].concat());
    let port = service.port;
    let mut wire = Wire::to(port);
    wire.enter(EMAIL);
    let session = wire.enter("reader@example.com");
    let pair = wire.pair();
    // The machine's other guests make it faster and slower: what is compared stands a moment apart.
    let rounds: Vec<(f64, f64)> = (0..FLOOD_ROUNDS)
        .map(|_| (bare_hashes(FLOOD_ROUND), signed_in_per_second(port, &pair, FLOOD_ROUND, || {})))
        .collect();
    let quiet = waits(port, &session);
    let mut flooded = Vec::new();
    signed_in_per_second(port, &pair, Duration::from_secs(12), || flooded = waits(port, &session));
    say("| what | figure |\n| --- | ---: |");
    let of = |figure: fn(&(f64, f64)) -> f64| median(rounds.iter().map(figure).collect());
    say(&format!("| bare Argon2id on all cores | {:.1} hashes/s |", of(|(bare, _)| *bare)));
    say(&format!("| sign-ins | {:.1} per second |", of(|(_, sign_ins)| *sign_ins)));
    say(&format!(
        "| ratio, median of {FLOOD_ROUNDS} rounds | {:.3} |",
        of(|(bare, sign_ins)| sign_ins / bare)
    ));
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
    (cookie, token): &(String, String),
    time: Duration,
    meanwhile: impl FnOnce(),
) -> f64 {
    let (done, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut wire = Wire::to(port);
                let fields = [
                    ("csrfToken", token.as_str()),
                    ("email", EMAIL),
                    ("password", PASSWORD),
                    ("json", "true"),
                ];
                while !over.load(Ordering::Relaxed) {
                    let answer = wire.post("/api/auth/callback/credentials", cookie, &fields);
                    if answer.is_some_and(|answer| answer.status == 200) {
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
    let mut wire = Wire::to(port);
    let ask = |wire: &mut Wire| {
        let begun = Instant::now();
        let answer = wire.get("/api/get-session-example", &[("Cookie", session.as_bytes())]).unwrap();
        let waited = begun.elapsed().as_secs_f64() * 1000.0;
        assert_eq!(answer.status, 200);
        std::thread::sleep(Duration::from_millis(5));
        waited
    };
    (0..2000).map(|_| ask(&mut wire)).collect()
}
