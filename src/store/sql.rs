//! The statements that are the same in both databases.
//!
//! `$1` placeholders and upserts are spelled alike in SQLite and PostgreSQL, so a statement stands here once; what differs
//! stands in the database's own file. A test prepares every one of them.

/// The columns of a user, in the order of `rows::UserRow`.
macro_rules! user_columns {
    () => {
        "users.id, users.email, users.name, users.image, users.email_verified_at, users.disabled_at, users.created_at"
    };
}

/// The columns of a session, in the order of `rows::SessionRow`.
macro_rules! session_columns {
    () => {
        "sessions.id AS session_id, sessions.user_id, sessions.strategy, sessions.method, sessions.authenticated_at, \
         sessions.expires_at, sessions.renewed_at, sessions.user_agent, sessions.address, sessions.claims"
    };
}

pub(super) const CREATE_USER: &str = "INSERT INTO users (id, email, name, password_hash, created_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (email) DO NOTHING";
pub(super) const FIND_USER: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
pub(super) const FIND_USER_BY_EMAIL: &str =
    concat!("SELECT ", user_columns!(), ", users.password_hash FROM users WHERE email = $1");
pub(super) const SET_PASSWORD_HASH: &str = "UPDATE users SET password_hash = $2 WHERE id = $1";
pub(super) const SET_NAME: &str = "UPDATE users SET name = $2 WHERE id = $1";
pub(super) const DISABLE_USER: &str =
    "UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE id = $1";
pub(super) const ENABLE_USER: &str = "UPDATE users SET disabled_at = NULL WHERE id = $1";
pub(super) const LIST_USERS: &str =
    concat!("SELECT ", user_columns!(), " FROM users WHERE email > $1 ORDER BY email LIMIT $2");

pub(super) const FIND_SESSION: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", ",
    user_columns!(),
    " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1"
);
pub(super) const RENEW_SESSION: &str =
    "UPDATE sessions SET renewed_at = $2, expires_at = $3 WHERE id = $1 AND renewed_at < $2";
pub(super) const LIST_SESSIONS: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions WHERE user_id = $1 ORDER BY renewed_at DESC, authenticated_at DESC, id"
);
pub(super) const DELETE_SESSION: &str = "DELETE FROM sessions WHERE id = $1";
pub(super) const DELETE_OWN_SESSION: &str = "DELETE FROM sessions WHERE id = $1 AND user_id = $2";
pub(super) const DELETE_OTHER_SESSIONS: &str =
    "DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id";
pub(super) const DELETE_EXPIRED_SESSIONS: &str =
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2)";

pub(super) const NEXT_SEQUENCE: &str =
    "UPDATE counters SET value = value + 1 WHERE name = 'revocations' RETURNING value";
pub(super) const REVOCATIONS_AFTER: &str = "SELECT sequence, kind, subject, not_after, expires_at FROM revocations \
     WHERE sequence > $1 ORDER BY sequence LIMIT $2";
pub(super) const DELETE_EXPIRED_REVOCATIONS: &str = "DELETE FROM revocations WHERE sequence IN \
     (SELECT sequence FROM revocations WHERE expires_at < $1 LIMIT $2)";

/// The casts tell PostgreSQL the types of what is added.
pub(super) const COUNT_ATTEMPT: &str = "INSERT INTO attempts (key, count, window_ends) \
     VALUES ($1, 1, CAST($2 AS BIGINT) + CAST($3 AS BIGINT)) ON CONFLICT (key) DO UPDATE SET \
     count = CASE WHEN attempts.window_ends <= $2 THEN 1 ELSE attempts.count + 1 END, \
     window_ends = CASE WHEN attempts.window_ends <= $2 THEN excluded.window_ends ELSE attempts.window_ends END \
     RETURNING count, window_ends";
pub(super) const RETURN_ATTEMPT: &str = "UPDATE attempts SET count = count - 1 WHERE key = $1 AND count > 0";
pub(super) const FORGET_ATTEMPTS: &str = "DELETE FROM attempts WHERE key = $1";
pub(super) const DELETE_ENDED_ATTEMPTS: &str =
    "DELETE FROM attempts WHERE key IN (SELECT key FROM attempts WHERE window_ends < $1 LIMIT $2)";

pub(super) const PING: &str = "SELECT 1";
pub(super) const SCHEMA_VERSION: &str = "SELECT MAX(version) FROM _countersign_migrations";

/// Every statement of this file.
pub(super) const ALL: [&str; 24] = [
    CREATE_USER,
    FIND_USER,
    FIND_USER_BY_EMAIL,
    SET_PASSWORD_HASH,
    SET_NAME,
    DISABLE_USER,
    ENABLE_USER,
    LIST_USERS,
    FIND_SESSION,
    RENEW_SESSION,
    LIST_SESSIONS,
    DELETE_SESSION,
    DELETE_OWN_SESSION,
    DELETE_OTHER_SESSIONS,
    DELETE_EXPIRED_SESSIONS,
    NEXT_SEQUENCE,
    REVOCATIONS_AFTER,
    DELETE_EXPIRED_REVOCATIONS,
    COUNT_ATTEMPT,
    RETURN_ATTEMPT,
    FORGET_ATTEMPTS,
    DELETE_ENDED_ATTEMPTS,
    PING,
    SCHEMA_VERSION,
];
