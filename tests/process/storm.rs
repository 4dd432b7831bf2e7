//! An attack by sign-ins: what it may cost in memory, and who is answered meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::service::{SECRET, Service};
use crate::wire::{Wire, at_once, try_sign_in};

const CLIENTS: usize = 500;
/// Argon2id's memory by default.
const PER_HASH: usize = 19 << 20;
const PASSWORD: &str = "correct horse battery";

/// A service with the hashing it has by default, behind a proxy that says who is who: many addresses on one machine.
/// However slow this machine is today, nobody who has a place in the queue loses it: the excess is the excess.
fn service(folder: &TempDir) -> Service {
    let variables = [
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
        ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000"),
        ("COUNTERSIGN_PROVIDERS__CREDENTIALS__QUEUE_DEADLINE", "60"),
        ("COUNTERSIGN_DATABASE_TIMEOUT", "60"),
    ];
    Service::start(folder.path(), &variables)
}

/// What one storm came to.
struct Storm {
    answers: Vec<(u16, Duration)>,
}

impl Storm {
    /// Everybody at once, each with another name and a wrong password, from so many addresses.
    fn break_out(port: u16, pair: &(String, String), addresses: usize, round: usize) -> Self {
        let answers = at_once(CLIENTS, |number| {
            let address = format!("203.0.{round}.{}", number % addresses);
            let email = format!("nobody{number}@example.com");
            let since = Instant::now();
            let answer = try_sign_in(port, pair, &address, &email, "a wrong guess");
            let told: i64 = answer.header("retry-after").parse().unwrap_or(0);
            assert_eq!(matches!(answer.status, 429 | 503), told > 0, "{}: wait {told}", answer.status);
            assert!(answer.headers("set-cookie").iter().all(|cookie| !cookie.contains("session-token")));
            (answer.status, since.elapsed())
        });
        Self { answers }
    }

    fn times(&self, status: u16) -> Vec<Duration> {
        let mut times: Vec<Duration> =
            self.answers.iter().filter(|(found, _)| *found == status).map(|(_, time)| *time).collect();
        times.sort_unstable();
        times
    }
}

/// A person with a session reads a guarded route over and over: every time it took.
fn keep_reading(port: u16, session: &str, over: &Arc<AtomicBool>) -> std::thread::JoinHandle<Vec<Duration>> {
    let (session, over) = (session.to_owned(), Arc::clone(over));
    std::thread::spawn(move || {
        let (mut wire, mut times) = (Wire::to(port), Vec::new());
        while !over.load(Ordering::Relaxed) {
            let since = Instant::now();
            let answer = wire.get("/api/get-session-example", &[("Cookie", session.as_bytes())]).unwrap();
            assert_eq!(answer.status, 200, "answered during the storm");
            times.push(since.elapsed());
        }
        times
    })
}

/// A person signs in from elsewhere, and tries again when asked to. How often it took.
fn get_in(port: u16, pair: &(String, String), number: usize) -> usize {
    let (email, address) = (format!("person{number}@example.com"), format!("198.51.100.{number}"));
    for tries in 1..200 {
        let answer = try_sign_in(port, pair, &address, &email, PASSWORD);
        match answer.status {
            200 => return tries,
            // As long as a person takes to press the button again; not as long as they are asked to wait.
            503 => std::thread::sleep(Duration::from_millis(300)),
            status => panic!("{email}: {status}"),
        }
    }
    panic!("{email} never got in");
}

#[test]
fn a_storm_of_sign_ins_costs_what_the_pool_allows_and_stops_nobody() {
    let folder = TempDir::new().unwrap();
    let service = service(&folder);
    let port = service.port;
    let mut wire = Wire::to(port);
    for number in 0..10 {
        wire.enter(&format!("person{number}@example.com"));
    }
    let session = wire.enter("reader@example.com");
    let pair = wire.pair();
    let cores = std::thread::available_parallelism().unwrap().get();
    let allowed = cores * PER_HASH + (64 << 20);
    let before = service.memory();
    for round in 0..3 {
        let over = Arc::new(AtomicBool::new(false));
        let reading = keep_reading(port, &session, &over);
        let people: Vec<_> = (0..10)
            .map(|number| {
                let pair = pair.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(100));
                    get_in(port, &pair, number)
                })
            })
            .collect();
        let storm = Storm::break_out(port, &pair, 100, round);
        let tries: Vec<usize> = people.into_iter().map(|person| person.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        let mut times = reading.join().unwrap();
        times.sort_unstable();
        let (compared, busy) = (storm.times(401), storm.times(503));
        assert_eq!(compared.len() + busy.len(), CLIENTS, "{:?}", storm.answers);
        assert!(!busy.is_empty() && compared.len() >= 50, "{} compared, {} busy", compared.len(), busy.len());
        // Whoever is too many hears so while others still wait for their turn.
        assert!(busy[busy.len() / 2] < compared[compared.len() / 2], "told at once");
        println!(
            "round {round}: {} compared, {} refused (the first after {:?}), guarded p99 {:?} of {}, people took {tries:?} tries",
            compared.len(),
            busy.len(),
            busy.first().unwrap(),
            times[times.len() * 99 / 100],
            times.len()
        );
    }
    let (most, after) = (service.memory_at_most(), service.memory());
    println!("memory: {before} before, {most} at most, {after} after");
    assert!(most - before <= allowed, "{} bytes more, {allowed} allowed", most - before);
    // What was lent is given back: three storms leave no more than one.
    assert!(after.saturating_sub(before) <= 48 << 20, "{} bytes are left behind", after - before);
}

#[test]
fn a_storm_from_one_address_fills_its_own_share_and_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let service = service(&folder);
    let port = service.port;
    let mut wire = Wire::to(port);
    for number in 0..10 {
        wire.enter(&format!("person{number}@example.com"));
    }
    let pair = wire.pair();
    let mut compared = 0;
    let mut cut_off = 0;
    while cut_off == 0 {
        let people: Vec<_> = (0..10)
            .map(|number| {
                let pair = pair.clone();
                std::thread::spawn(move || get_in(port, &pair, number))
            })
            .collect();
        let storm = Storm::break_out(port, &pair, 1, 0);
        let tries: Vec<usize> = people.into_iter().map(|person| person.join().unwrap()).collect();
        assert_eq!(tries, [1; 10], "the flood of one address takes nobody else's place");
        compared += storm.times(401).len();
        cut_off = storm.times(429).len();
        assert!(!storm.times(503).is_empty(), "more than its share at once");
    }
    // Fifty wrong passwords from one address; then nothing is hashed for it any more.
    assert_eq!(compared, 50);
}
