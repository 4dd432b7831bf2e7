//! The contract about the audit log.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{AuditEntry, AuditRecord, ChainMark, UserId};

/// Which records are wanted; by default all.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only those of this user.
    pub user: Option<UserId>,
    /// Only those of this moment or later.
    pub since: Option<Timestamp>,
}

/// Both ends of the chain, as the store has noted them beside the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEnds {
    /// What the first record that is kept follows: the start, or the last record that was deleted for its age.
    pub anchor: ChainMark,
    /// The last record.
    pub head: ChainMark,
}

/// The audit log: records are appended, and deleted from the oldest on; nothing is ever changed.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Appends entries in their order, in one act: each is chained to the record before it and the head moves along.
    /// Of parallel calls each finds the other's records complete or not at all, also from other processes.
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<Vec<AuditRecord>, Error>;
    /// Up to `limit` records in order of sequence, those after `after`.
    async fn audit_after(
        &self,
        after: i64,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error>;
    /// The chain's ends. [`Error::Corrupt`] when one of them is missing.
    async fn audit_ends(&self) -> Result<AuditEnds, Error>;
    /// Deletes up to `limit` of the oldest records, up to the first that is of `before` or later, and moves the anchor
    /// to the last of them in the same act. How many were deleted.
    async fn prune_audit(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
