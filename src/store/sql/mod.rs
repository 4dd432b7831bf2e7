//! The statements that are the same in both databases.
//!
//! `$1` placeholders and upserts are spelled alike in SQLite and PostgreSQL, so a statement stands here once; what differs
//! stands in the database's own file. A test prepares every one of them.

/// The columns of a user, in the order of `rows::UserRow`.
macro_rules! user_columns {
    () => {
        "users.id, users.email, users.name, users.image, users.email_verified_at, users.disabled_at, users.created_at, \
         users.security_stamp"
    };
}

/// The columns of a session, in the order of `rows::SessionRow`.
macro_rules! session_columns {
    () => {
        "sessions.id AS session_id, sessions.user_id, sessions.strategy, sessions.method, sessions.authenticated_at, \
         sessions.expires_at, sessions.renewed_at, sessions.user_agent, sessions.address, sessions.claims"
    };
}

/// The columns of an account at another site, in the order of `rows::AccountRow`.
macro_rules! account_columns {
    () => {
        "accounts.id AS account_id, accounts.user_id, accounts.provider, accounts.issuer, accounts.subject, \
         accounts.label, accounts.linked_at"
    };
}

/// The columns of a mailed secret, in the order of `rows::VerificationRow`.
macro_rules! verification_columns {
    () => {
        "id, purpose, email, user_id, browser, code, created_at, expires_at"
    };
}

pub(super) mod access_tokens;
pub(super) mod accounts;
pub(super) mod attempts;
pub(super) mod audit;
pub(super) mod factors;
pub(super) mod revocations;
pub(super) mod roles;
pub(super) mod sessions;
pub(super) mod users;
pub(super) mod verifications;

pub(super) const PING: &str = "SELECT 1";
/// Steps of the schema that this program does not know; two tell as much as all.
pub(super) const STEPS_AFTER: &str =
    "SELECT version, description FROM _countersign_migrations WHERE version > $1 ORDER BY version LIMIT 2";
pub(super) const SCHEMA_VERSION: &str = "SELECT MAX(version) FROM _countersign_migrations";

/// The statements behind the administrator's pages, but for the list of people: by what they list.
pub(super) const LISTS: [(&str, &str); 7] = [
    ("records", audit::RECORDS_AFTER),
    ("user", users::FIND_USER),
    ("sessions", sessions::LIST_SESSIONS),
    ("roles", roles::ROLES_OF),
    ("codes", factors::FIND_TOTP),
    ("recovery codes", factors::COUNT_RECOVERY_CODES),
    ("passkeys", factors::LIST_PASSKEYS),
];

/// Every statement that both databases share.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let files = [
        users::ALL,
        sessions::ALL,
        revocations::ALL,
        attempts::ALL,
        verifications::ALL,
        audit::ALL,
        factors::ALL,
        roles::ALL,
        access_tokens::ALL,
        accounts::ALL,
    ];
    files.into_iter().flatten().copied().chain([PING, SCHEMA_VERSION, STEPS_AFTER])
}
