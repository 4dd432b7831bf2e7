//! The contract about revocations.

use rocket::async_trait;
use tokio::sync::Notify;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{Revocation, Subject};

/// What was revoked before its time.
#[async_trait]
pub trait Revocations: Send + Sync {
    /// Adds a revocation; adding the same subject again keeps the later `not_after` and `expires_at` of the two and
    /// gives the entry a new, higher sequence.
    async fn revoke(
        &self,
        subject: &Subject,
        not_after: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), Error>;
    /// Up to `limit` revocations in order of sequence, those after `after`. The sequence of a revocation is visible
    /// only together with all lower ones that will ever become visible, so a reader that remembers the highest it saw
    /// misses none.
    async fn revocations_after(&self, after: i64, limit: u32) -> Result<Vec<Revocation>, Error>;
    /// Wakes `heard` when it begins to listen, and then whenever a process revoked something, until the connection it
    /// listens on is lost: the answer says why. What was revoked meanwhile is not told again, so whoever listens also
    /// asks from time to time. A store that nobody tells anything never wakes and never ends.
    async fn listen_for_revocations(&self, heard: &Notify) -> Error {
        let _ = heard;
        std::future::pending().await
    }
    /// Deletes up to `limit` revocations that expired before `before`, oldest first. How many were deleted.
    async fn delete_expired_revocations(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
