//! Everything that is done at a route, and every call of the store on the way, failing in turn: the act is done and answered
//! as usual, or the answer is "unknown" and nothing happened.
//!
//! `every_call` sends ordinary fields to every route there is; here are the requests that take a preparation. Together with the
//! methods that no request calls, the calls that fail here are all that the contract of the store has: a new method that
//! nobody fails makes this fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use rocket::tokio;

use crate::acts::{Act, Ready, World};
use crate::app::STRATEGIES;
use crate::browser::{Answer, PASSWORD, Steps as _};
use crate::dump::Dump;
use crate::every_call::{assert_nothing_counted, assert_unknown};
use crate::faults::{Course, Fault, METHODS};

/// Calls that are not needed for the answer, wherever they are made: it is given all the same.
const NOT_NEEDED: [&str; 9] = [
    "return_attempts",
    "return_code_attempt",
    "strengthen_hash",
    "append_audit",
    "end_oldest_sessions",
    "use_access_token",
    "reseal_tokens",
    "reseal_totp",
    // After something ended: the list learns of it a second later. To a guard it is needed.
    "revocations_after",
];

/// Calls before the one that does it which use something up or settle something, the tables they change, and why they come
/// first. Where a later call fails, this much has happened, and nothing else: the answer is "unknown" all the same, nobody is
/// signed in, and the person starts again.
const BEFORE_THE_ACT: [(&str, &[&str]); 12] = [
    // The same password, hashed as it is hashed today.
    ("strengthen_hash", &["users"]),
    // What works once is used up before it opens anything: of two who show it, one comes in.
    ("redeem_sign_in", &["verifications", "users", "sessions", "revocations", "counters"]),
    ("accept_totp_step", &["totp"]),
    ("spend_recovery_code", &["recovery_codes"]),
    ("spend", &["spent"]),
    // The verifier's counter moves with every answer, whatever becomes of the sign-in.
    ("use_passkey", &["passkeys"]),
    // Sealed anew while it is at hand.
    ("reseal_totp", &["totp"]),
    // An account and its links are settled once the host has agreed; coming again finds them.
    ("keep_tokens", &["accounts"]),
    ("create_user_with_account", &["users", "accounts"]),
    ("link_account", &["accounts"]),
    ("take_over", &["users", "accounts", "sessions", "verifications", "revocations", "counters"]),
    // The other site is asked by one at a time; a lease that is not given back ends by itself.
    ("lease_tokens", &["accounts"]),
];

/// Methods that no request calls.
const NOT_BY_REQUESTS: [&str; 13] = [
    // The background's.
    "delete_ended_attempts",
    "delete_expired_access_tokens",
    "delete_expired_revocations",
    "delete_expired_sessions",
    "delete_expired_verifications",
    "delete_spent",
    "list_tokens",
    "list_totp",
    "prune_audit",
    // Asked when another call has failed, and then down with it.
    "return_code_attempt",
    // The commands'.
    "list_users",
    // A host's, if it has one that calls them.
    "forget_attempts",
    "revoke",
];

/// How often a request may come to nothing by itself under one fault: a machine that stands still for some seconds, as one
/// that is shared does, lets every time-out there is run out. What always comes to nothing is found all the same.
const LATE: usize = 3;

/// An answer as far as it is the same for everybody.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    status: u16,
    location: String,
    cookies: BTreeSet<String>,
}

impl Shape {
    fn of(answer: &Answer, ready: &Ready<'_>) -> Self {
        let location =
            ready.ids.iter().fold(answer.location().to_owned(), |text, id| text.replace(id.as_str(), "ID"));
        let name = |header: &str| header.split('=').next().unwrap_or_default().to_owned();
        let cookies = answer.headers("set-cookie").into_iter().map(name);
        // Each sign-in under way has a cookie of its own.
        let cookies = cookies.map(|name| match name.split_once("oauth.") {
            Some((before, _)) => format!("{before}oauth"),
            None => name,
        });
        Self { status: answer.status, location, cookies: cookies.collect() }
    }
}

/// The tables that differ between two dumps.
fn changed(before: &str, after: &str) -> BTreeSet<String> {
    let tables = |dump: &str| {
        let (mut found, mut table) = (BTreeMap::<String, Vec<String>>::new(), String::new());
        for line in dump.lines() {
            match line
                .strip_suffix(':')
                .filter(|name| !name.contains(|c: char| c != '_' && !c.is_alphanumeric()))
            {
                Some(name) => name.clone_into(&mut table),
                None => found.entry(table.clone()).or_default().push(line.to_owned()),
            }
        }
        found
    };
    let (before, after) = (tables(before), tables(after));
    let names: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    names.into_iter().filter(|name| before.get(name) != after.get(name)).collect()
}

/// Whether the request did what it is for: the call that does it came before the fault, or nothing failed that is needed.
fn is_done(act: Act, course: &Course) -> bool {
    course.passed.contains(&act.call())
        || !is_guards_question(course) && course.met.iter().all(|call| NOT_NEEDED.contains(call))
}

/// Whether what failed is what a guard asks when the list could not be read for seconds, as on a machine that is busy
/// with other things: is this session revoked? Nothing but the session is looked up before that.
fn is_guards_question(course: &Course) -> bool {
    course.met.first() == Some(&"revocations_after")
        && course.passed.iter().all(|call| *call == "find_session")
}

// ASVS: 16.5.3
#[test]
fn whatever_call_fails_an_act_is_done_or_nothing_happened() {
    let left = Mutex::new(Act::ALL.iter().flat_map(|act| STRATEGIES.map(|strategy| (*act, strategy))));
    let work = || {
        let mut failed = BTreeSet::new();
        while let Some((act, strategy)) = next(&left) {
            failed.extend(rocket::async_test(drive(act, strategy)));
        }
        failed
    };
    // Most of the time is waited.
    let failed: BTreeSet<&str> = std::thread::scope(|scope| {
        let workers = [(); 4].map(|()| scope.spawn(work));
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let known: BTreeSet<&str> = METHODS.iter().copied().collect();
    let spared: BTreeSet<&str> = known.difference(&failed).copied().collect();
    assert_eq!(spared, BTreeSet::from(NOT_BY_REQUESTS), "left: what nobody failed at a route");
}

fn next<T>(left: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    left.lock().unwrap().next()
}

/// A session in the database is looked up by every request, so there are more calls to fail; a call that fails once is the
/// hardest to get right, as what comes after it goes on.
fn faults(strategy: &str) -> &'static [Fault] {
    match strategy {
        "database" => &[Fault::Down, Fault::Hangs, Fault::Once],
        _ => &[Fault::Once],
    }
}

/// Whoever signs in after a request: what is owed by then is given back, if the background has not done so yet.
const SETTLER: &str = "settler@example.com";

/// What comes of a request.
struct Outcome {
    answer: Answer,
    course: Course,
    /// The attempts that were counted before.
    attempts: String,
    happened: BTreeSet<String>,
    /// What was mailed, before.
    mailed: String,
}

/// One request, under a fault if one is planned.
async fn send(world: &World, dump: &Dump, ready: &Ready<'_>, fault: Option<(Fault, usize)>) -> Outcome {
    let (before, attempts) = (dump.state().await, dump.attempts().await);
    let mailed = dump.rows_of("verifications").await;
    if let Some((fault, healthy)) = fault {
        world.app.store.plan(fault, healthy);
    }
    let answer = ready.send().await;
    let course = world.app.store.recover_and_tell();
    let happened = changed(&before, &dump.state().await);
    Outcome { answer, course, attempts, happened, mailed }
}

/// One act with each fault at each call. The calls that were failed.
async fn drive(act: Act, strategy: &str) -> BTreeSet<&'static str> {
    let (faults, mut failed) = (faults(strategy), BTreeSet::new());
    let world = World::start(strategy, act).await;
    world.app.browser().sign_up(SETTLER).await;
    let dump = Dump::of(&world.app).await;
    let ready = world.prepare(act).await;
    let usual = send(&world, &dump, &ready, None).await;
    let usual = (Shape::of(&usual.answer, &ready), usual.happened);
    assert!(usual.0.status < 400 && !usual.0.location.contains("error"), "{strategy}, {act:?}: {usual:?}");
    for &fault in faults {
        let (mut healthy, mut refused, mut late) = (0, 0, 0);
        let (mut ready, mut sealed) = (world.prepare(act).await, world.app.store.resealing());
        loop {
            let mut outcome = send(&world, &dump, &ready, Some((fault, healthy))).await;
            if world.app.store.resealing() != sealed {
                // The background sealed anew meanwhile: what happened is not what the request did.
                (ready, sealed) = (world.prepare(act).await, world.app.store.resealing());
                continue;
            }
            let met = outcome.course.met.clone();
            if met.is_empty() && late < LATE && Shape::of(&outcome.answer, &ready) != usual.0 {
                // Nothing was failed, and all the same it came to nothing: the other site was not heard in time.
                late += 1;
                (ready, sealed) = (world.prepare(act).await, world.app.store.resealing());
                continue;
            }
            let answer = (outcome.answer.status, outcome.answer.location().to_owned());
            let label = format!("{strategy}, {act:?}, {fault:?} at call {healthy} ({met:?}, {answer:?})");
            let is_done = is_done(act, &outcome.course);
            assert_given_back(act, &dump, &ready, &mut outcome, &label).await;
            if is_done {
                assert_done(act, &outcome, &ready, &usual, &label);
            } else {
                assert_refused(&world, &outcome, &ready, &label).await;
                refused += 1;
            }
            let Some(call) = met.first() else { break };
            failed.insert(*call);
            healthy += 1;
            // Where nothing happened the same request goes on being sent, and works in the end.
            if is_done || !outcome.happened.is_empty() {
                (ready, sealed) = (world.prepare(act).await, world.app.store.resealing());
            }
        }
        assert!(refused > 0, "{strategy}, {act:?}, {fault:?}: nothing was refused");
    }
    failed
}

fn assert_done(
    act: Act,
    outcome: &Outcome,
    ready: &Ready<'_>,
    usual: &(Shape, BTreeSet<String>),
    label: &str,
) {
    assert_eq!(Shape::of(&outcome.answer, ready), usual.0, "{label}: {}", outcome.answer.body);
    let happened = &outcome.happened;
    assert!(happened.is_subset(&usual.1), "{label}: {happened:?} changed, and not {:?}", usual.1);
    assert!(act.call().is_empty() || !happened.is_empty(), "{label}: nothing happened");
}

/// Whoever did nothing wrong has no attempt left that counts, whatever became of the request.
async fn assert_given_back(act: Act, dump: &Dump, ready: &Ready<'_>, outcome: &mut Outcome, label: &str) {
    let passed = |call: &str| outcome.course.passed.contains(&call);
    let (counted, tried) = (passed("count_attempts"), passed("count_code_attempt"));
    if counted || tried {
        ready.stranger().try_sign_in(SETTLER, PASSWORD).await;
    }
    // An account that was made and a mail that was sent count.
    let counts = ["create_user", "add_verification"].contains(&act.call());
    if counted && !(counts && is_done(act, &outcome.course)) {
        assert_nothing_counted(&outcome.attempts, dump, label).await;
    }
    if tried && !passed("redeem_sign_in") {
        for _ in 0..100 {
            if dump.rows_of("verifications").await == outcome.mailed {
                outcome.happened.remove("verifications");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{label}: a try of the code is left");
    }
}

/// The answer is "unknown", and nothing happened but what had to come first.
async fn assert_refused(world: &World, outcome: &Outcome, ready: &Ready<'_>, label: &str) {
    assert_unknown(&outcome.answer, false, label);
    let came_first = |(name, _): &&(&str, &[&str])| outcome.course.passed.contains(name);
    let first: Vec<_> = BEFORE_THE_ACT.iter().filter(came_first).collect();
    let may: BTreeSet<&str> = first.iter().flat_map(|(_, tables)| *tables).copied().collect();
    let happened = &outcome.happened;
    assert!(happened.iter().all(|table| may.contains(table.as_str())), "{label}: {happened:?} changed");
    assert_eq!(happened.is_empty(), first.is_empty(), "{label}: {happened:?} changed after {first:?}");
    if !happened.is_empty() {
        let mut again = Vec::new();
        while again.len() < LATE && again.iter().all(|status| *status >= 500) {
            // A lease that was not given back has ended by then.
            world.app.clock.advance(21);
            again.push(ready.send().await.status);
        }
        assert!(again.last() < Some(&500), "{label}: {again:?} again");
    }
}
