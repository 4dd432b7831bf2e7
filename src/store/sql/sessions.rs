//! Statements about sessions.

/// For PostgreSQL, which takes the ids as one value.
pub(in crate::store) const FIND_SESSIONS_OF_ARRAY: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", ",
    user_columns!(),
    " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ANY($1)"
);
pub(in crate::store) const RENEW_SESSION: &str =
    "UPDATE sessions SET renewed_at = $2, expires_at = $3 WHERE id = $1 AND renewed_at < $2";
pub(in crate::store) const LIST_SESSIONS: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions WHERE user_id = $1 ORDER BY renewed_at DESC, authenticated_at DESC, id"
);
pub(in crate::store) const DELETE_SESSION: &str = "DELETE FROM sessions WHERE id = $1";
pub(in crate::store) const DELETE_OWN_SESSION: &str = "DELETE FROM sessions WHERE id = $1 AND user_id = $2";
pub(in crate::store) const DELETE_OTHER_SESSIONS: &str =
    "DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id";
pub(in crate::store) const HAS_SESSION: &str = "SELECT COUNT(*) FROM sessions WHERE id = $1 AND user_id = $2";
pub(in crate::store) const COUNT_SESSIONS: &str = "SELECT COUNT(*) FROM sessions WHERE user_id = $1";
/// One session comes first, whatever its times say; if it is gone already, another has its place.
pub(in crate::store) const DELETE_OLDEST_SESSIONS: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions \
     WHERE user_id = $1 ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END, renewed_at DESC, authenticated_at DESC, id \
     LIMIT 1000 OFFSET $3) RETURNING id";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    RENEW_SESSION,
    LIST_SESSIONS,
    DELETE_SESSION,
    DELETE_OWN_SESSION,
    DELETE_OTHER_SESSIONS,
    HAS_SESSION,
    COUNT_SESSIONS,
    DELETE_OLDEST_SESSIONS,
];
