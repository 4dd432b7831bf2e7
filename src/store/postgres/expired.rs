//! Deleting what expired, in PostgreSQL: oldest first, so many at once.
//!
//! The rows are found in the index on their end and deleted at their place. Without an order the planner takes the first of
//! the table's rows instead, and reads through those that the batches before have left dead: the more are gone, the longer.
//!
//! Rows that somebody holds at the moment are passed over: a sign-in that counts goes first, and instances that clean up at
//! the same time share the work.

macro_rules! delete_expired {
    ($table:literal, $end:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY (SELECT ctid FROM ",
            $table,
            " WHERE ",
            $end,
            " < $1 ORDER BY ",
            $end,
            " LIMIT $2 FOR UPDATE SKIP LOCKED))"
        )
    };
}

pub(super) const SESSIONS: &str = delete_expired!("sessions", "expires_at");
pub(super) const REVOCATIONS: &str = delete_expired!("revocations", "expires_at");
pub(super) const ATTEMPTS: &str = delete_expired!("attempts", "window_ends");
pub(super) const ACCESS_TOKENS: &str = delete_expired!("access_tokens", "expires_at");
pub(super) const SPENT: &str = delete_expired!("spent", "expires_at");
pub(super) const VERIFICATIONS: &str = delete_expired!("verifications", "expires_at");

/// Every statement of this file, by what it deletes.
pub(super) const ALL: [(&str, &str); 6] = [
    ("expired sessions", SESSIONS),
    ("expired revocations", REVOCATIONS),
    ("expired attempts", ATTEMPTS),
    ("expired access tokens", ACCESS_TOKENS),
    ("expired spent", SPENT),
    ("expired verifications", VERIFICATIONS),
];
