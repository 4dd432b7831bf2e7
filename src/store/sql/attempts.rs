//! Statements about attempts.

pub(in crate::store) const FORGET_ATTEMPTS: &str = "DELETE FROM attempts WHERE key = $1";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[FORGET_ATTEMPTS];
