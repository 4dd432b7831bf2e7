//! The metrics themselves.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Seconds: from a row that is cached to a store that gives up.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// How a histogram of a family is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// What kind of route answered, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Answered {
    pub(super) class: &'static str,
    pub(super) status: u16,
}

/// The pattern of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Routed {
    pub(super) route: String,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Ended {
    pub(super) outcome: &'static str,
}

/// How somebody proved who they are, and how that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Entered {
    pub(super) method: &'static str,
    pub(super) outcome: &'static str,
}

/// What the audit log was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Told {
    pub(super) event: &'static str,
    pub(super) outcome: &'static str,
}

/// Where something is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Stage {
    pub(super) state: &'static str,
}

/// All metrics, and the registry that prints them.
#[derive(Debug)]
pub(super) struct Families {
    registry: Registry,
    pub(super) requests: Family<Answered, Counter>,
    pub(super) durations: Family<Routed, Histogram, Durations>,
    pub(super) guards: Family<Ended, Counter>,
    pub(super) sign_ins: Family<Entered, Counter>,
    pub(super) audit_events: Family<Told, Counter>,
    pub(super) audit_lost: Counter,
    pub(super) sessions_issued: Counter,
    pub(super) sessions_revoked: Counter,
    pub(super) revocations: Gauge,
    pub(super) letters: Family<Ended, Counter>,
    pub(super) hashing: Family<Stage, Gauge>,
    pub(super) hashing_refused: Counter,
    pub(super) store_calls: Family<Ended, Histogram, Durations>,
}

impl Families {
    pub(super) fn new() -> Self {
        let mut families = Self {
            registry: Registry::with_prefix("countersign"),
            requests: Family::default(),
            durations: Family::new_with_constructor(Durations),
            guards: Family::default(),
            sign_ins: Family::default(),
            audit_events: Family::default(),
            audit_lost: Counter::default(),
            sessions_issued: Counter::default(),
            sessions_revoked: Counter::default(),
            revocations: Gauge::default(),
            letters: Family::default(),
            hashing: Family::default(),
            hashing_refused: Counter::default(),
            store_calls: Family::new_with_constructor(Durations),
        };
        families.register();
        // There from the start, so that the first one is a rise.
        for outcome in ["sent", "delayed", "lost", "for_nobody"] {
            drop(families.letters.get_or_create(&Ended { outcome }));
        }
        families
    }

    /// Gives every metric its name. Counters get `_total` when they are printed.
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        registry.register("requests", "Answers by class of route and status", self.requests.clone());
        let name = "request_duration";
        let help = "How long the library's routes took";
        registry.register_with_unit(name, help, Unit::Seconds, self.durations.clone());
        registry.register("guard_lookups", "What guards found", self.guards.clone());
        registry.register("sign_ins", "Sign-ins by method and outcome", self.sign_ins.clone());
        registry.register("audit_events", "What the audit log was told", self.audit_events.clone());
        registry.register("audit_lost", "Audit records that could not be stored", self.audit_lost.clone());
        registry.register("sessions_issued", "Sessions that began", self.sessions_issued.clone());
        let help = "Sessions that were ended before their time";
        registry.register("sessions_revoked", help, self.sessions_revoked.clone());
        let help = "Entries of the revocation list in memory";
        registry.register("revocations", help, self.revocations.clone());
        registry.register("letters", "Letters by what came of them", self.letters.clone());
        registry.register("hashing", "Passwords waiting and being hashed", self.hashing.clone());
        let help = "Passwords that found the queue full or waited too long";
        registry.register("hashing_refused", help, self.hashing_refused.clone());
        let name = "store_call_duration";
        let help = "Calls to the database by outcome";
        registry.register_with_unit(name, help, Unit::Seconds, self.store_calls.clone());
    }

    /// Everything, in the OpenMetrics text format.
    pub(super) fn print(&self) -> Result<String, std::fmt::Error> {
        let mut printed = String::new();
        text::encode(&mut printed, &self.registry)?;
        Ok(printed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_prints_under_its_name() {
        let families = Families::new();
        families.requests.get_or_create(&Answered { class: "auth", status: 200 }).inc();
        families.durations.get_or_create(&Routed { route: "/api/auth/csrf".to_owned() }).observe(0.002);
        families.hashing.get_or_create(&Stage { state: "waiting" }).inc();
        let printed = families.print().unwrap();
        for line in [
            "countersign_build_info{version=",
            "countersign_requests_total{class=\"auth\",status=\"200\"} 1",
            "countersign_request_duration_seconds_count{route=\"/api/auth/csrf\"} 1",
            "countersign_hashing{state=\"waiting\"} 1",
            "countersign_audit_lost_total 0",
            "countersign_letters_total{outcome=\"lost\"} 0",
            "# EOF",
        ] {
            assert!(printed.contains(line), "{line}\n{printed}");
        }
    }
}
