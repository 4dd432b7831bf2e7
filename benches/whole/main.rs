//! Measurements of whole requests, each one command:
//!
//! ```console
//! cargo bench --bench whole -- instructions     # under valgrind: the same figures on every machine
//! cargo bench --bench whole -- load             # one core serves, the other asks: requests per second, as ratios
//! cargo bench --bench whole -- growth           # from nothing to millions of sessions, into docs/performance/growth.csv
//! cargo bench --bench whole -- admin            # the administrator's pages among 1,000 and 1,000,000 people
//! cargo bench --bench whole -- plot             # draws docs/performance/growth.svg from that file
//! cargo bench --bench whole -- startup          # from exec to the first answer
//! cargo bench --bench whole -- flood            # sign-ins as fast as the cores can, and what others wait meanwhile
//! cargo bench --bench whole -- storm            # 500 sign-ins at once over fresh connections
//! cargo bench --bench whole -- memory           # with a million revoked sessions, and over an hour's work
//! ```
//!
//! They report; nothing here fails because of a time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement stops at what it cannot do, and prints"
)]

mod admin;
mod app;
mod fill;
mod growth;
mod instructions;
mod load;
mod memory;
mod plot;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod program;
#[path = "../../tests/process/service.rs"]
#[expect(dead_code, reason = "a measurement needs little of it")]
mod service;
mod storm;
#[path = "../../tests/process/wire.rs"]
#[expect(dead_code, clippy::indexing_slicing, reason = "a measurement needs little of it")]
mod wire;

const USAGE: &str =
    "usage: … -- instructions | load | growth | plot | admin | startup | flood | storm | memory";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["instructions"] => instructions::report(),
        ["instructions", "run", rest @ ..] => instructions::run(rest),
        ["load", "serve", rest @ ..] => load::serve(rest),
        ["load", rest @ ..] => load::report(rest),
        ["growth", rest @ ..] => growth::report(rest),
        ["admin", rest @ ..] => admin::report(rest),
        ["startup"] => program::startup(),
        ["flood"] => program::flood(),
        ["storm"] => storm::report(),
        ["memory", rest @ ..] => memory::report(rest),
        ["plot"] => plot::draw(),
        _ => say(USAGE),
    }
}

/// A process that ends with this value.
pub(crate) struct Owned(pub(crate) std::process::Child);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// One line for whoever reads.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Runs a future on one worker, as the measured service has it.
pub(crate) fn on_one_worker<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = rocket::tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(work)
}
