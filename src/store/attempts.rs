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
    /// Counts one attempt under `key` and tells the new count, in one statement: of parallel attempts each is told
    /// another number. A window starts with its first attempt and lasts `window` seconds.
    async fn count_attempt(
        &self,
        key: &TokenHash,
        now: Timestamp,
        window: i64,
    ) -> Result<AttemptCount, Error>;
    /// Takes one attempt under `key` back, when it turned out to be none (a right password, a store that failed).
    async fn return_attempt(&self, key: &TokenHash) -> Result<(), Error>;
    /// Forgets the count under `key`.
    async fn forget_attempts(&self, key: &TokenHash) -> Result<(), Error>;
    /// Deletes up to `limit` counters whose window ended before `before`, oldest first. How many were deleted.
    async fn delete_ended_attempts(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
