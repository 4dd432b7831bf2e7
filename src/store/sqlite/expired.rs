//! Deleting what expired, in SQLite: oldest first, so many at once.
//!
//! The rows are found in the index on their end, which holds their place, and deleted there: the table is read for nothing
//! but what goes.

macro_rules! delete_expired {
    ($table:literal, $end:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE rowid IN (SELECT rowid FROM ",
            $table,
            " WHERE ",
            $end,
            " < $1 ORDER BY ",
            $end,
            " LIMIT $2)"
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
