//! Instructions per request, counted by valgrind: they depend on the program and not on the machine or its load.
//!
//! Each case runs with few and with many requests, so that starting and stopping cancel out; each run is repeated and the
//! least counts, because what the program does by the clock only ever adds. The requests are dispatched in process: no
//! socket, no HTTP parser, only what Rocket and a guard do.

use std::process::Command;

use countersign::Session;
use rocket::http::Header;
use rocket::local::asynchronous::Client;
use rocket::{get, routes};

use crate::app::{Answer, Labelled, Setup, enter, open, session};
use crate::{on_one_worker, say};

const FEW: usize = 200;
const MANY: usize = 2200;
const RUNS: usize = 3;

/// A path, asked with a session of a strategy and a format, and so many cookies in the header.
struct Case {
    path: &'static str,
    strategy: &'static str,
    format: &'static str,
    cookies: usize,
}

const V3: &str = "nextauth-v3";

fn cases() -> Vec<Case> {
    let case = |path, strategy, format, cookies| Case { path, strategy, format, cookies };
    let mut cases = Vec::new();
    for cookies in [1, 3, 20] {
        cases.push(case("/open", "jwt", V3, cookies));
        cases.push(case("/session", "jwt", V3, cookies));
        cases.push(case("/session", "database", V3, cookies));
    }
    for format in ["nextauth-v3-encrypted", "nextauth-v4", "authjs-v5"] {
        cases.push(case("/session", "jwt", format, 1));
    }
    for path in [
        "/bare",
        "/optional",
        "/token",
        "/json",
        "/json-dressed",
        "/api/auth/session",
        "/api/auth/csrf",
        "/page",
        "/page-fresh",
        "/page-ready",
        "/unknown",
    ] {
        cases.push(case(path, "jwt", V3, 3));
    }
    cases
}

/// Counts every case and prints the table.
pub(crate) fn report() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        say("valgrind is not installed (Debian: apt-get install valgrind)");
        return;
    }
    say("instructions per request, dispatched in process\n");
    say("| request | strategy | format | cookies | instructions | of the same route unguarded |");
    say("| --- | --- | --- | ---: | ---: | ---: |");
    let mut open = 0.0;
    for case in cases() {
        let each = (least(&case, MANY) - least(&case, FEW)) / (MANY - FEW) as f64;
        if case.path == "/open" {
            open = each;
        }
        let ratio = match case.path {
            "/session" | "/open" if case.format == V3 => format!("{:.3}", each / open),
            _ => String::new(),
        };
        let Case { path, strategy, format, cookies } = case;
        say(&format!("| `{path}` | {strategy} | {format} | {cookies} | {each:.0} | {ratio} |"));
    }
}

fn least(case: &Case, times: usize) -> f64 {
    (0..RUNS).map(|_| count(case, times)).fold(f64::MAX, f64::min)
}

/// All instructions of a process that sends so many requests.
fn count(case: &Case, times: usize) -> f64 {
    let own = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(own)
        .args(["instructions", "run", case.path, case.strategy, case.format])
        .args([case.cookies.to_string(), times.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let line = told.lines().find(|line| line.contains("refs:"));
    let digits: String =
        line.unwrap_or_else(|| panic!("{told}")).split("refs:").nth(1).unwrap().replace(',', "");
    digits.trim().parse().unwrap()
}

/// The same path with a guard and without, of which an application mounts one: Rocket looks for a route among all of them,
/// and which is found first is no property of a guard.
#[get("/same")]
fn same_unguarded() -> Labelled {
    open()
}

#[get("/same")]
fn same_guarded(guard: Session) -> Answer {
    session(guard)
}

/// One of the two.
fn same(guarded: bool) -> Vec<rocket::Route> {
    if guarded { routes![same_guarded] } else { routes![same_unguarded] }
}

/// What runs under valgrind.
pub(crate) fn run(arguments: &[&str]) {
    let [path, strategy, format, cookies, times] = arguments else {
        panic!("path, strategy, format, cookies, times");
    };
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup {
        database_url: format!("sqlite://{}", folder.path().join("bench.db").display()),
        strategy: (*strategy).to_owned(),
        format: (*format).to_owned(),
        port: 0,
    };
    on_one_worker(async {
        let store = setup.store().await;
        let (path, same) = match *path {
            "/open" => ("/same", same(false)),
            "/session" => ("/same", same(true)),
            path => (path, Vec::new()),
        };
        let rocket = setup.rocket(store.clone()).mount("/", same);
        let client = Client::untracked(rocket).await.unwrap();
        let cookie = enter(client.rocket(), &*store, cookies.parse().unwrap()).await;
        client.get("/page-prepare").header(Header::new("Cookie", cookie.clone())).dispatch().await;
        for _ in 0..times.parse().unwrap() {
            let request = client.get(path).header(Header::new("Cookie", cookie.clone()));
            let answer = request.dispatch().await;
            assert!(answer.status().code < 500);
            answer.into_bytes().await;
        }
    });
}
