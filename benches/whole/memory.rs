//! What the program keeps in memory: with a million revoked sessions, and while it works for an hour.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::app::SECRET;
use crate::service::Service;
use crate::wire::{Wire, try_sign_in};
use crate::{fill, on_one_worker, say};

const REVOKED: u64 = 1_000_000;
/// No more may sign up from one address within a moment.
const PEOPLE: usize = 10;
const CLIENTS: usize = 4;
const PASSWORD: &str = "correct horse battery";
/// Guarded requests of one sign-in.
const REQUESTS: usize = 50;
/// How often the memory is looked at.
const LOOKS: u32 = 12;

const SITE: [(&str, &str); 3] = [
    ("COUNTERSIGN_SECRET", SECRET),
    ("COUNTERSIGN_URL", "http://localhost:8000"),
    ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
];

/// Prints both tables; the work goes on for so many minutes, sixty unless told.
pub(crate) fn report(arguments: &[&str]) {
    let minutes: u32 = arguments.first().map_or(60, |number| number.parse().unwrap());
    revoked();
    working(minutes);
}

/// At rest, with a list of so many revoked sessions, as a start reads it.
fn revoked() {
    say("| revoked sessions | resident at rest |\n| ---: | ---: |");
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("countersign.db").display());
    let variables = [SITE.as_slice(), &[("COUNTERSIGN_DATABASE_URL", url.as_str())]].concat();
    for count in [0, REVOKED] {
        drop(Service::start(folder.path(), &variables));
        on_one_worker(fill::revocations(&url, count));
        let service = Service::start(folder.path(), &variables);
        std::thread::sleep(Duration::from_secs(3));
        say(&format!("| {count} | {:.1} MB |", megabytes(&service)));
    }
}

/// What the clients did.
#[derive(Default)]
struct Done {
    sign_ins: AtomicU64,
    requests: AtomicU64,
}

/// People sign in, use guarded routes and pages, and most of them sign out; others present what nobody minted.
fn working(minutes: u32) {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &SITE);
    let mut wire = Wire::to(service.port);
    for number in 0..PEOPLE {
        wire.enter(&format!("person{number}@example.com"));
    }
    let pair = wire.pair();
    let (done, over) = (Done::default(), AtomicBool::new(false));
    say("\n| minutes | sign-ins | requests | resident |\n| ---: | ---: | ---: | ---: |");
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (port, pair, done, over) = (service.port, &pair, &done, &over);
            scope.spawn(move || {
                for visit in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    come_and_go(port, pair, visit * CLIENTS + client, done);
                }
            });
        }
        let begun = Instant::now();
        for look in 0..=LOOKS {
            let due = Duration::from_mins(1) * minutes * look / LOOKS;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let [sign_ins, requests] =
                [&done.sign_ins, &done.requests].map(|count| count.load(Ordering::Relaxed));
            let passed = due.as_secs_f64() / 60.0;
            say(&format!("| {passed:.0} | {sign_ins} | {requests} | {:.1} MB |", megabytes(&service)));
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// A visit: a sign-in from an address of its own, requests, and the way out.
fn come_and_go(port: u16, pair: &(String, String), number: usize, done: &Done) {
    let (email, address) =
        (format!("person{}@example.com", number % PEOPLE), format!("203.0.113.{}", number % 250));
    let answer = try_sign_in(port, pair, &address, &email, PASSWORD);
    // Too many from one address, for the moment.
    let Some(session) = answer.cookie("session-token").filter(|_| answer.status == 200) else {
        std::thread::sleep(Duration::from_secs(1));
        return;
    };
    done.sign_ins.fetch_add(1, Ordering::Relaxed);
    let mut wire = Wire::to(port);
    for request in 0..REQUESTS {
        let invented = format!("next-auth.session-token={number}.{request}");
        let (path, cookie) = match request % 10 {
            0 => ("/", session),
            1 => ("/api/get-session-example", invented.as_str()),
            2 => ("/api/auth/session", session),
            _ => ("/api/get-session-example", session),
        };
        let answer = wire.get(path, &[("Cookie", cookie.as_bytes())]).unwrap();
        assert!(answer.status < 500, "{path}: {}", answer.status);
        done.requests.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(10));
    }
    // One of ten only closes the window.
    if !number.is_multiple_of(10) {
        let (cookie, token) = pair;
        let fields = [("csrfToken", token.as_str()), ("json", "true")];
        let out = wire.post("/api/auth/signout", &format!("{cookie}; {session}"), &fields).unwrap();
        assert_eq!(out.status, 200, "{}", out.body);
    }
}

/// The least of two seconds: what a hash under way works in is not what is kept.
fn megabytes(service: &Service) -> f64 {
    let looks = (0..20).map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        service.memory()
    });
    looks.min().unwrap() as f64 / 1e6
}
