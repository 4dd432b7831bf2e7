//! Refusals, bounded.
//!
//! See the [module](super): one record per minute of those that are alike, and a number of different ones per minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use super::entry::Entry;
use super::event::AuditEvent;
use crate::clock::Timestamp;
use crate::model::{AuditEntry, Email, UserId};

/// Seconds in which refusals that are alike are one.
const WINDOW: i64 = 60;
/// Windows whose records are kept in memory while the store is away.
const PATIENCE: usize = 5;

/// What makes two refusals alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Likeness {
    event: AuditEvent,
    user: Option<UserId>,
    email: Option<Email>,
    network: Option<IpAddr>,
    details: String,
}

/// The refusals of the present window, and the records that wait to be written.
#[derive(Debug)]
pub(super) struct Flood {
    per_window: usize,
    began: Timestamp,
    seen: HashMap<Likeness, (Entry, u64)>,
    omitted: u64,
    waiting: Vec<AuditEntry>,
}

impl Flood {
    pub(super) fn new(per_window: usize) -> Self {
        Self { per_window, began: Timestamp(i64::MIN), seen: HashMap::new(), omitted: 0, waiting: Vec::new() }
    }

    /// Takes a refusal in.
    pub(super) fn add(&mut self, entry: Entry, now: Timestamp) {
        self.turn(now);
        let likeness = Likeness::of(&entry);
        if let Some((_, repeated)) = self.seen.get_mut(&likeness) {
            *repeated += 1;
        } else if self.seen.len() < self.per_window {
            self.waiting.push(entry.clone().at(now));
            self.seen.insert(likeness, (entry, 0));
        } else {
            self.omitted += 1;
        }
    }

    /// Ends the window when its time is over (or the clock was set back): what was repeated and what was left out
    /// becomes a record.
    fn turn(&mut self, now: Timestamp) {
        if (0..WINDOW).contains(&now.since(self.began)) {
            return;
        }
        for (_, (entry, repeated)) in self.seen.drain().filter(|(_, (_, repeated))| *repeated > 0) {
            // From one of the requests, but not about this one.
            let entry = Entry { request: None, ..entry };
            self.waiting.push(entry.detail("repeated", repeated).at(now));
        }
        if self.omitted > 0 {
            let entry = Entry::new(AuditEvent::RefusalsOmitted).detail("count", self.omitted);
            self.waiting.push(entry.at(now));
        }
        self.omitted = 0;
        self.began = now;
    }

    /// What is to be written now.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<AuditEntry> {
        self.turn(now);
        std::mem::take(&mut self.waiting)
    }

    /// Everything, the present window's repetitions included: the process ends.
    pub(super) fn take_all(&mut self, now: Timestamp) -> Vec<AuditEntry> {
        self.began = Timestamp(i64::MIN);
        self.take(now)
    }

    /// Puts back what could not be written, oldest first; what is too much is returned, and is lost.
    pub(super) fn put_back(&mut self, mut entries: Vec<AuditEntry>) -> Vec<AuditEntry> {
        entries.append(&mut self.waiting);
        let room = PATIENCE * (2 * self.per_window + 1);
        let lost = entries.drain(..entries.len().saturating_sub(room)).collect();
        self.waiting = entries;
        lost
    }
}

impl Likeness {
    fn of(entry: &Entry) -> Self {
        Self {
            event: entry.event,
            user: entry.user.clone(),
            email: entry.email.clone(),
            network: entry.address.map(network),
            details: serde_json::Value::Object(entry.details.clone()).to_string(),
        }
    }
}

/// What one customer holds: an IPv4 address, or the /64 of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn refusal(address: &str) -> Entry {
        Entry::new(AuditEvent::CsrfRefused).address(Some(address.parse().unwrap()))
    }

    fn detail(entry: &AuditEntry, name: &str) -> Option<u64> {
        serde_json::from_str::<serde_json::Value>(&entry.details).unwrap()[name].as_u64()
    }

    #[test]
    fn alike_is_one_and_then_a_number() {
        let mut flood = Flood::new(10);
        for number in 0..100 {
            flood.add(refusal(&format!("2001:db8::{number:x}")), NOW.plus(number / 10));
        }
        flood.add(refusal("2001:db8:0:1::1"), NOW.plus(11));
        assert_eq!(flood.take(NOW.plus(11)).len(), 2, "one per /64");
        assert!(flood.take(NOW.plus(59)).is_empty());
        let after = flood.take(NOW.plus(60));
        assert_eq!(after.iter().map(|entry| detail(entry, "repeated")).collect::<Vec<_>>(), [Some(99)]);
        assert!(flood.take(NOW.plus(500)).is_empty());
    }

    #[test]
    fn a_flood_of_different_ones_is_a_number() {
        let mut flood = Flood::new(10);
        for number in 0..1_000_u32 {
            flood.add(refusal(&std::net::Ipv4Addr::from(number).to_string()), NOW);
        }
        assert_eq!(flood.take(NOW).len(), 10);
        assert_eq!(flood.seen.len(), 10);
        let after = flood.take(NOW.plus(60));
        assert_eq!(after.len(), 1);
        assert_eq!(
            (after[0].event.as_str(), detail(&after[0], "count")),
            ("audit.refusals_omitted", Some(990))
        );
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_window() {
        let mut flood = Flood::new(1);
        flood.add(refusal("192.0.2.1"), NOW);
        flood.add(refusal("192.0.2.2"), NOW.plus(-3600));
        assert_eq!(flood.take(NOW.plus(-3600)).len(), 2);
    }

    #[test]
    fn what_waits_for_the_store_is_bounded() {
        let mut flood = Flood::new(10);
        let mut lost = 0;
        for minute in 0..100 {
            for number in 0..20_u32 {
                flood.add(refusal(&std::net::Ipv4Addr::from(number).to_string()), NOW.plus(minute * 60));
            }
            let entries = flood.take(NOW.plus(minute * 60));
            lost += flood.put_back(entries).len();
        }
        assert!(flood.waiting.len() <= 5 * 21 && lost > 900, "{} {lost}", flood.waiting.len());
        let rest = flood.take_all(NOW.plus(100 * 60));
        assert_eq!(rest.last().unwrap().event, "audit.refusals_omitted");
    }
}
