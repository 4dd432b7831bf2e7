//! Statements about attempts.

/// The casts tell PostgreSQL the types of what is added.
pub(in crate::store) const COUNT_ATTEMPT: &str = "INSERT INTO attempts (key, count, window_ends) \
     VALUES ($1, 1, CAST($2 AS BIGINT) + CAST($3 AS BIGINT)) ON CONFLICT (key) DO UPDATE SET \
     count = CASE WHEN attempts.window_ends <= $2 THEN 1 ELSE attempts.count + 1 END, \
     window_ends = CASE WHEN attempts.window_ends <= $2 THEN excluded.window_ends ELSE attempts.window_ends END \
     RETURNING count, window_ends";
/// A counter of nothing says nothing: its row goes, or a flood of names that were all taken back would fill the table.
pub(in crate::store) const RETURN_LAST_ATTEMPT: &str = "DELETE FROM attempts WHERE key = $1 AND count <= 1";
pub(in crate::store) const RETURN_ATTEMPT: &str =
    "UPDATE attempts SET count = count - 1 WHERE key = $1 AND count > 0";
pub(in crate::store) const FORGET_ATTEMPTS: &str = "DELETE FROM attempts WHERE key = $1";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[COUNT_ATTEMPT, RETURN_LAST_ATTEMPT, RETURN_ATTEMPT, FORGET_ATTEMPTS];
