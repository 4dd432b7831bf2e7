//! Time as an argument.
//!
//! Nothing in Countersign asks the machine what time it is, except [`SystemClock`]. Everything else is handed a
//! [`Clock`], so that a test moves time by a year in one line ([`ManualClock`]) and proves expiry to the second.
//!
//! Times are whole seconds since the Unix epoch, UTC ([`Timestamp`]): what JSON Web Tokens carry (RFC 7519 section 2,
//! NumericDate) and what both databases store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> Timestamp {
        // A machine that stands before 1970 stands at its beginning.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved; its clones share one time.
///
/// ```
/// use countersign::clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp(1_700_000_000));
/// clock.advance(60);
/// assert_eq!(clock.now(), Timestamp(1_700_000_060));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.0)))
    }

    /// Moves the clock by `seconds`, backwards when negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
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
    fn moments_beyond_the_calendar_do_not_panic() {
        assert!(Timestamp(i64::MAX).plus(1).to_iso().starts_with("9999-12-31"));
        assert!(!Timestamp(i64::MIN).plus(-1).to_iso().is_empty());
    }
}
