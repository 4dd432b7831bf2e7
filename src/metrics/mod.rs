//! What is counted, for Prometheus.
//!
//! Off by default: nothing is counted and nobody listens until `metrics` names an address. Then `GET /metrics` answers
//! there, on a listener of its own and never on the site's, in the OpenMetrics text format.
//!
//! The metrics belong to the process, as its log does. Labels take values from closed lists only: no request can make a
//! new series.
//!
//! | metric | labels | counts |
//! | --- | --- | --- |
//! | `countersign_build_info` | `version` | 1 |
//! | `countersign_requests_total` | `class`, `status` | answers: of the library's routes (`auth`), its assets, the application's |
//! | `countersign_request_duration_seconds` | `route` | how long the library's routes took |
//! | `countersign_guard_lookups_total` | `outcome` | what guards found: `session`, `missing`, `expired`, … |
//! | `countersign_sign_ins_total` | `method`, `outcome` | sign-ins, by how people proved who they are |
//! | `countersign_audit_events_total` | `event`, `outcome` | everything the audit log is told, repetitions included |
//! | `countersign_audit_lost_total` | | audit records that could not be stored |
//! | `countersign_sessions_issued_total` | | sessions that began |
//! | `countersign_sessions_revoked_total` | | sessions that were ended before their time |
//! | `countersign_revocations` | | entries of the revocation list in memory |
//! | `countersign_hashing` | `state` | passwords being hashed, and waiting for a core |
//! | `countersign_hashing_refused_total` | | passwords that found the queue full or waited too long |
//! | `countersign_store_call_duration_seconds` | `outcome` | calls to the database, and how they ended |

mod families;
mod listener;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use families::{Answered, Ended, Entered, Families, Routed, Stage, Told};

pub(crate) use listener::{bind, serve};

static ON: AtomicBool = AtomicBool::new(false);
static FAMILIES: LazyLock<Families> = LazyLock::new(Families::new);

/// Starts counting.
pub(crate) fn switch_on() {
    ON.store(true, Ordering::Relaxed);
}

fn families() -> Option<&'static Families> {
    ON.load(Ordering::Relaxed).then(|| &*FAMILIES)
}

/// An answer was sent.
pub(crate) fn request(class: &'static str, status: u16) {
    if let Some(families) = families() {
        families.requests.get_or_create(&Answered { class, status }).inc();
    }
}

/// When a measured piece of work began; nothing while nothing is counted.
pub(crate) fn begin() -> Option<Instant> {
    ON.load(Ordering::Relaxed).then(Instant::now)
}

/// A route of the library has answered. `route` is its pattern, not what was asked for.
pub(crate) fn route(began: Option<Instant>, route: &str) {
    if let (Some(families), Some(began)) = (families(), began) {
        let label = Routed { route: route.to_owned() };
        families.durations.get_or_create(&label).observe(seconds(began.elapsed()));
    }
}

/// A guard looked a session up.
pub(crate) fn guard(outcome: &'static str) {
    if let Some(families) = families() {
        families.guards.get_or_create(&Ended { outcome }).inc();
    }
}

/// Somebody signed in, or could not.
pub(crate) fn sign_in(method: &'static str, outcome: &'static str) {
    if let Some(families) = families() {
        families.sign_ins.get_or_create(&Entered { method, outcome }).inc();
    }
}

/// The audit log was told something.
pub(crate) fn audit_event(event: &'static str, outcome: &'static str) {
    if let Some(families) = families() {
        families.audit_events.get_or_create(&Told { event, outcome }).inc();
    }
}

/// Audit records could not be stored.
pub(crate) fn audit_lost(records: usize) {
    if let Some(families) = families() {
        families.audit_lost.inc_by(records as u64);
    }
}

/// A session began.
pub(crate) fn session_issued() {
    if let Some(families) = families() {
        families.sessions_issued.inc();
    }
}

/// Sessions were ended before their time.
pub(crate) fn sessions_revoked(count: u64) {
    if let Some(families) = families() {
        families.sessions_revoked.inc_by(count);
    }
}

/// The revocation list has so many entries.
pub(crate) fn revocations(count: usize) {
    if let Some(families) = families() {
        families.revocations.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// A letter was sent, is tried again, or is lost.
pub(crate) fn letter(outcome: &'static str) {
    if let Some(families) = families() {
        families.letters.get_or_create(&Ended { outcome }).inc();
    }
}

/// A password found the queue full, or waited too long.
pub(crate) fn hashing_refused() {
    if let Some(families) = families() {
        families.hashing_refused.inc();
    }
}

/// A password that waits for a core or is being hashed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hashing {
    state: Option<&'static str>,
}

impl Hashing {
    pub(crate) fn waiting() -> Self {
        Self::enter("waiting")
    }

    pub(crate) fn running() -> Self {
        Self::enter("running")
    }

    fn enter(state: &'static str) -> Self {
        let families = families();
        if let Some(families) = families {
            families.hashing.get_or_create(&Stage { state }).inc();
        }
        Self { state: families.map(|_| state) }
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        if let Some(state) = self.state {
            FAMILIES.hashing.get_or_create(&Stage { state }).dec();
        }
    }
}

/// A call to the store has ended.
pub(crate) fn store_call(began: Option<Instant>, outcome: &'static str) {
    if let (Some(families), Some(began)) = (families(), began) {
        families.store_calls.get_or_create(&Ended { outcome }).observe(seconds(began.elapsed()));
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
