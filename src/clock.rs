//! Time as an argument.
//!
//! Nothing in Countersign asks the machine what time it is, except [`SystemClock`]. Everything else is handed a
//! [`Clock`], so that a test moves time by a year in one line ([`ManualClock`]) and proves expiry to the second.
//!
//! Times are whole seconds since the Unix epoch, UTC ([`Timestamp`]): what JSON Web Tokens carry (RFC 7519 section 2,
//! NumericDate) and what both databases store.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc3339};

/// Whole seconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

const MILLISECONDS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second { decimal_digits: std::num::NonZeroU8::new(3) })
    .encode();

impl Timestamp {
    /// This moment plus `seconds` (which may be negative), saturating at the ends of time.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As the `time` crate sees it; moments outside its calendar are clamped to its ends.
    #[must_use]
    pub fn to_datetime(self) -> OffsetDateTime {
        let latest = OffsetDateTime::from_unix_timestamp(253_402_300_799);
        OffsetDateTime::from_unix_timestamp(self.0).or(latest).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// ISO 8601 with milliseconds and `Z`, as JavaScript's `Date.prototype.toISOString` prints it: the form of
    /// `expires` in NextAuth's session body.
    #[must_use]
    pub fn to_iso(self) -> String {
        self.to_datetime().format(&Iso8601::<MILLISECONDS>).unwrap_or_default()
    }

    /// RFC 3339 without a fraction, for people and logs.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_datetime().format(&Rfc3339).unwrap_or_default()
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// This moment.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock, which is not believed when it goes back: what was over would begin anew.
///
/// A machine has a second clock, which nobody can set: it counts the time since some moment. Both are read when the
/// process first asks for the time, and from then on the later of the two counts: the machine's clock, or where it stood
/// at that moment plus what was counted since. So a clock that is set back has no effect, while one that jumps ahead is
/// followed, and followed again when it is set right. A process that *began* while the clock was ahead goes on from there,
/// and says so in the log: restart it once the clock is right.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// How far the machine's clock may be behind the counted time before the log tells, seconds.
const SET_BACK: i64 = 60;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        static BEGIN: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| (machine_time(), Instant::now()));
        static TOLD: AtomicBool = AtomicBool::new(false);
        let (begin, since) = &*BEGIN;
        let counted = begin.plus(i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX));
        let shown = machine_time();
        let behind = counted.since(shown);
        if behind > SET_BACK && !TOLD.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                seconds = behind,
                "the machine's clock was set back; time is counted on from where it stood (restart if it was wrong then)"
            );
        }
        believed(shown, counted)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
fn machine_time() -> Timestamp {
    // A machine that stands before 1970 stands at its beginning.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The rule of [`SystemClock`], given what the machine's clock shows and what was counted.
fn believed(shown: Timestamp, counted: Timestamp) -> Timestamp {
    shown.max(counted)
}

/// A clock that stands still until it is moved; its clones share one time. Setting it follows the rule of
/// [`SystemClock`].
///
/// ```
/// use countersign::clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp(1_700_000_000));
/// clock.advance(60);
/// assert_eq!(clock.now(), Timestamp(1_700_000_060));
/// clock.step(-3600);
/// assert_eq!(clock.now(), Timestamp(1_700_000_060));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Moment>);

#[derive(Debug)]
struct Moment {
    shown: AtomicI64,
    counted: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(Moment { shown: AtomicI64::new(start.0), counted: AtomicI64::new(start.0) }))
    }

    /// Lets `seconds` pass; when negative, time itself goes back.
    pub fn advance(&self, seconds: i64) {
        self.0.counted.fetch_add(seconds, Ordering::SeqCst);
        self.step(seconds);
    }

    /// Sets the machine's clock ahead by `seconds`, or back when negative, while no time passes.
    pub fn step(&self, seconds: i64) {
        self.0.shown.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let read = |moment: &AtomicI64| Timestamp(moment.load(Ordering::SeqCst));
        believed(read(&self.0.shown), read(&self.0.counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_javascript_does() {
        assert_eq!(Timestamp(1_700_000_000).to_iso(), "2023-11-14T22:13:20.000Z");
        assert_eq!(Timestamp(1_700_000_000).to_rfc3339(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_clock_that_is_set_back_stands_and_one_that_jumps_is_followed_both_ways() {
        let clock = ManualClock::at(Timestamp(1000));
        clock.step(-500);
        assert_eq!(clock.now(), Timestamp(1000));
        clock.advance(10);
        assert_eq!(clock.now(), Timestamp(1010), "time passes all the same");
        clock.step(500);
        assert_eq!(clock.now(), Timestamp(1010));
        clock.step(300);
        assert_eq!(clock.now(), Timestamp(1310));
        clock.step(-300);
        assert_eq!(clock.now(), Timestamp(1010), "set right again");
    }

    #[test]
    fn the_machines_clock_does_not_go_back() {
        let first = SystemClock.now();
        assert!(SystemClock.now() >= first);
        assert!(SystemClock.now().since(machine_time()).abs() <= 2);
    }

    #[test]
    fn moments_beyond_the_calendar_do_not_panic() {
        assert!(Timestamp(i64::MAX).plus(1).to_iso().starts_with("9999-12-31"));
        assert!(!Timestamp(i64::MIN).plus(-1).to_iso().is_empty());
    }
}
