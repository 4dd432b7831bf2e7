//! Statements about revocations.

pub(in crate::store) const REVOCATIONS_AFTER: &str = "SELECT sequence, kind, subject, not_after, expires_at FROM revocations \
     WHERE sequence > $1 ORDER BY sequence LIMIT $2";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[REVOCATIONS_AFTER];
