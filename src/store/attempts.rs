//! The contract about attempts.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::secret::TokenHash;

/// A counter of attempts as it stands after one more was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptCount {
    /// Attempts in the present window, this one included.
    pub count: i64,
    /// When the window ends and the count starts anew.
    pub window_ends: Timestamp,
}

/// Attempts at guessing, counted across processes and restarts.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts one attempt under each key and tells the new counts, up to and with the first that is above its limit: of
    /// parallel attempts each is told another number. A window starts with its first attempt and lasts `window` seconds. It
    /// is one act, which holds the counters in the order of `counters`: whoever counts several at a time, or takes them
    /// back, names those of one kind in the same place, or two of them wait for each other. Each is named once.
    async fn count_attempts(
        &self,
        counters: &[(TokenHash, i64)],
        now: Timestamp,
        window: i64,
    ) -> Result<Vec<AttemptCount>, Error>;
    /// Takes one attempt under each key back, when it turned out to be none (a right password, a store that failed). It is
    /// one act, as counting is.
    async fn return_attempts(&self, keys: &[TokenHash]) -> Result<(), Error>;

    /// [`Attempts::count_attempts`] of one counter.
    async fn count_attempt(
        &self,
        key: &TokenHash,
        now: Timestamp,
        window: i64,
    ) -> Result<AttemptCount, Error> {
        let counted = self.count_attempts(&[(*key, i64::MAX)], now, window).await?;
        counted.first().copied().ok_or_else(|| Error::Corrupt("no count of an attempt".to_owned()))
    }
    /// Forgets the count under `key`.
    async fn forget_attempts(&self, key: &TokenHash) -> Result<(), Error>;
    /// Deletes up to `limit` counters whose window ended before `before`, oldest first. How many were deleted.
    async fn delete_ended_attempts(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
