//! Five hundred sign-ins at once, each over a connection of its own: what whoever has a session waits meanwhile, how soon
//! the excess is told, and what it costs in memory. `tests/process/storm.rs` holds the promises; here are the figures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::app::SECRET;
use crate::load::median;
use crate::say;
use crate::service::Service;
use crate::wire::{Wire, at_once, try_sign_in};

const CLIENTS: usize = 500;
/// Client addresses that they come from: no address asks more than it may.
const ADDRESSES: usize = 250;
const ROUNDS: u8 = 7;
/// People with the right password who sign in during the storm, each from an address of their own.
const PEOPLE: usize = 10;
const PASSWORD: &str = "correct horse battery";

/// What one round came to; times in milliseconds, in order.
struct Round {
    quiet: Vec<f64>,
    stormy: Vec<f64>,
    compared: usize,
    refused: Vec<f64>,
    /// The slowest of the people.
    last_in: f64,
}

/// Runs the storm and prints the table.
pub(crate) fn report() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_URL", "http://localhost:8000"),
        ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
    ];
    let service = Service::start(folder.path(), &variables);
    let mut wire = Wire::to(service.port);
    for number in 0..PEOPLE {
        wire.enter(&format!("person{number}@example.com"));
    }
    let session = wire.enter("reader@example.com");
    let pair = wire.pair();
    let before = service.memory();
    let rounds: Vec<Round> = (0..ROUNDS).map(|round| storm(service.port, &session, &pair, round)).collect();
    let (most, after) = (service.memory_at_most(), service.memory());

    let over = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    say("| what, median of seven storms | figure |\n| --- | ---: |");
    for (name, times) in [
        ("quiet", (|round: &Round| &round.quiet) as fn(&Round) -> &Vec<f64>),
        ("in the storm", |round: &Round| &round.stormy),
    ] {
        let at = |percent| over(&|round| part(times(round), percent));
        say(&format!("| guarded route, {name}: p50, p99 | {:.2} ms, {:.2} ms |", at(50), at(99)));
    }
    say(&format!("| wrong passwords compared, of {CLIENTS} | {:.0} |", over(&|round| round.compared as f64)));
    let refused = |percent| over(&|round| part(&round.refused, percent));
    say(&format!("| the excess is refused after: p50, p99 | {:.0} ms, {:.0} ms |", refused(50), refused(99)));
    say(&format!(
        "| the last of {PEOPLE} right passwords is in after | {:.0} ms |",
        over(&|round| round.last_in)
    ));
    let mb = |bytes: usize| bytes as f64 / 1e6;
    say(&format!(
        "| resident before, at most, after | {:.1}, {:.1}, {:.1} MB |",
        mb(before),
        mb(most),
        mb(after)
    ));
}

fn part(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or(f64::NAN)
}

fn storm(port: u16, session: &str, pair: &(String, String), round: u8) -> Round {
    let quiet = reading(port, session, || std::thread::sleep(Duration::from_secs(2)));
    let (mut answers, mut last_in) = (Vec::new(), 0_f64);
    let stormy = reading(port, session, || {
        let people: Vec<_> = (0..PEOPLE)
            .map(|number| {
                let pair = pair.clone();
                std::thread::spawn(move || get_in(port, &pair, number, round))
            })
            .collect();
        answers = break_out(port, pair, round);
        last_in = people.into_iter().map(|person| person.join().unwrap()).fold(0_f64, f64::max);
    });
    let compared = answers.iter().filter(|(status, _)| *status == 401).count();
    let refused = answers.iter().filter(|(status, _)| matches!(status, 429 | 503));
    let refused = in_order(refused.map(|(_, time)| *time).collect());
    assert_eq!(compared + refused.len(), CLIENTS, "something else was answered");
    Round { quiet, stormy, compared, refused, last_in }
}

/// Everybody at once, each with another name and a wrong password: status and time of each answer.
fn break_out(port: u16, pair: &(String, String), round: u8) -> Vec<(u16, f64)> {
    at_once(CLIENTS, |number| {
        let address = format!("203.0.{round}.{}", number % ADDRESSES);
        let email = format!("nobody{number}@example.com");
        let since = Instant::now();
        let answer = try_sign_in(port, pair, &address, &email, "a wrong guess");
        (answer.status, milliseconds(since))
    })
}

/// A person signs in, pressing the button again when there was no place. How long it took, milliseconds.
fn get_in(port: u16, pair: &(String, String), number: usize, round: u8) -> f64 {
    let (email, address) = (format!("person{number}@example.com"), format!("198.51.{round}.{number}"));
    std::thread::sleep(Duration::from_millis(100));
    let since = Instant::now();
    loop {
        match try_sign_in(port, pair, &address, &email, PASSWORD).status {
            200 => return milliseconds(since),
            503 => std::thread::sleep(Duration::from_millis(300)),
            status => panic!("{email}: {status}"),
        }
    }
}

/// What a guarded request waits, one after the other, while something else goes on: in order.
fn reading(port: u16, session: &str, meanwhile: impl FnOnce()) -> Vec<f64> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut wire, mut times) = (Wire::to(port), Vec::new());
            while !over.load(Ordering::Relaxed) {
                let since = Instant::now();
                let cookie = [("Cookie", session.as_bytes())];
                assert_eq!(wire.get("/api/get-session-example", &cookie).unwrap().status, 200);
                times.push(milliseconds(since));
                std::thread::sleep(Duration::from_millis(2));
            }
            times
        });
        meanwhile();
        over.store(true, Ordering::Relaxed);
        in_order(reader.join().unwrap())
    })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn in_order(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}
