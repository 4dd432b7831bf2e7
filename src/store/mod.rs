//! What is kept, and the contract of whoever keeps it.
//!
//! One trait per concern; together they are a [`Store`]. Every method is one act that is *atomic by contract*: there is
//! no `begin`, so no caller can forget a `commit`, and a process killed at any moment leaves all of an act or none.
//!
//! # The contract
//! - A look-up that finds nothing is `Ok(None)`; an `Err` always means "unknown", never "no" (see [`Error`]).
//! - Nobody but the browser keeps a session's id: methods take a [`TokenHash`].
//! - Expiry is judged by the caller, who has the clock; a store returns expired rows as they are.
//! - Every call ends within the time-out the store was opened with, as an [`Error::Unavailable`] when it must.
//! - What an `Ok` reported survives `kill -9` of this process.
//!
//! # Why two SQL files
//! `sqlite.rs` and `postgres.rs` hold the same methods in the same order with the same statements but for types, so
//! that their `diff` is the review. A checked query macro can see only one database per package, and a common
//! denominator would cost the native types. One contract suite runs over both, and a test prepares every statement.

mod errors;
mod file;
mod postgres;
mod rows;
mod sql;
mod sqlite;

use std::sync::Arc;

use rocket::async_trait;

use crate::clock::Timestamp;
use crate::model::{DisplayName, Email, NewUser, Revocation, SessionRecord, Subject, User, UserId};
use crate::secret::TokenHash;

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// Why a store could not answer. None of these means "not found" and none means "no".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Unreachable, overloaded, locked, full, read-only or too slow: try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A row holds what no version of this program writes.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// The schema is newer than this program, or was altered by somebody else.
    #[error("{0}")]
    Schema(String),
}

/// What came of creating a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// The user exists now.
    Created,
    /// Somebody has that address already; nothing was changed.
    EmailTaken,
}

/// A user together with the password's hash in PHC string format, for the one place that verifies passwords.
#[derive(Clone)]
pub struct UserWithPassword {
    /// The user.
    pub user: User,
    /// The hash, unless the user has no password.
    pub password_hash: Option<String>,
}

impl std::fmt::Debug for UserWithPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserWithPassword").field("user", &self.user).finish_non_exhaustive()
    }
}

/// People and their passwords.
#[async_trait]
pub trait Users: Send + Sync {
    /// Creates a user unless the address is taken; of parallel calls with one address exactly one creates.
    async fn create_user(&self, user: &NewUser) -> Result<Created, Error>;
    /// Finds a user by id.
    async fn find_user(&self, id: &UserId) -> Result<Option<User>, Error>;
    /// Finds a user and the password's hash by canonical address.
    async fn find_user_by_email(&self, email: &Email) -> Result<Option<UserWithPassword>, Error>;
    /// Replaces the password's hash. `false` when there is no such user.
    async fn set_password_hash(&self, id: &UserId, hash: &str) -> Result<bool, Error>;
    /// Replaces the password's hash and, in the same act, ends every session of the user but `keep`, as
    /// [`Sessions::end_sessions_of`] does. `false` when there is no such user.
    async fn change_password(
        &self,
        id: &UserId,
        hash: &str,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<bool, Error>;
    /// Replaces the display name. `false` when there is no such user.
    async fn set_name(&self, id: &UserId, name: Option<&DisplayName>) -> Result<bool, Error>;
    /// Disables a user at `now`: in one act, sets `disabled_at`, deletes the user's sessions and adds a
    /// [`Subject::User`] revocation with `not_after = now` that lasts until `revoke_until`. `false` when there is no
    /// such user; disabling twice is no error.
    async fn disable_user(&self, id: &UserId, now: Timestamp, revoke_until: Timestamp)
    -> Result<bool, Error>;
    /// Lets a disabled user sign in again; what was revoked stays revoked. `false` when there is no such user.
    async fn enable_user(&self, id: &UserId) -> Result<bool, Error>;
    /// Up to `limit` users in order of address, those after `after`.
    async fn list_users(&self, after: Option<&Email>, limit: u32) -> Result<Vec<User>, Error>;
}

/// Sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Adds a session. Fails on an id that exists (256 random bits do not collide: it is a fault, and never replaces
    /// a row), and when the user does not exist or is disabled ([`Inserted::NoSuchUser`]).
    async fn insert_session(&self, session: &SessionRecord) -> Result<Inserted, Error>;
    /// The session and its user in one query. The row is returned even when it is expired or its user disabled.
    async fn find_session(&self, id: &TokenHash) -> Result<Option<(SessionRecord, User)>, Error>;
    /// Moves the renewal and the expiry of a session that still exists, and only forward; never brings one back.
    /// `false` when the session is gone or was renewed at or after `renewed_at`.
    async fn renew_session(
        &self,
        id: &TokenHash,
        renewed_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, Error>;
    /// The user's sessions, most recently used first.
    async fn list_sessions(&self, user: &UserId) -> Result<Vec<SessionRecord>, Error>;
    /// Ends one session for good: in one act, deletes its row (only if it belongs to `owner`, when given) and adds a
    /// [`Subject::Session`] revocation until `revoke_until`. With `owner` given and no row of that owner: nothing
    /// happens and the answer is `false`. Without `owner` the revocation is added even when there is no row, because a
    /// token minted by another issuer has none.
    async fn end_session(
        &self,
        id: &TokenHash,
        owner: Option<&UserId>,
        revoke_until: Timestamp,
    ) -> Result<bool, Error>;
    /// Ends all sessions of a user but `keep`, each as [`Sessions::end_session`] does, in one act. How many ended.
    async fn end_sessions_of(
        &self,
        user: &UserId,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<u64, Error>;
    /// Deletes up to `limit` rows that expired before `before`. How many were deleted.
    async fn delete_expired_sessions(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}

/// What came of adding a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// The session exists now.
    Inserted,
    /// The user is gone or disabled; nothing was added.
    NoSuchUser,
}

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
    /// Deletes up to `limit` revocations that expired before `before`. How many were deleted.
    async fn delete_expired_revocations(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}

/// A counter of attempts as it stands after one more was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptCount {
    /// Attempts in the present window, this one included.
    pub count: i64,
    /// When the window ends and the count starts anew.
    pub window_ends: Timestamp,
}

/// Attempts at guessing, counted across processes and restarts.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts one attempt under `key` and tells the new count, in one statement: of parallel attempts each is told
    /// another number. A window starts with its first attempt and lasts `window` seconds.
    async fn count_attempt(
        &self,
        key: &TokenHash,
        now: Timestamp,
        window: i64,
    ) -> Result<AttemptCount, Error>;
    /// Takes one attempt under `key` back, when it turned out to be none (a right password, a store that failed).
    async fn return_attempt(&self, key: &TokenHash) -> Result<(), Error>;
    /// Forgets the count under `key`.
    async fn forget_attempts(&self, key: &TokenHash) -> Result<(), Error>;
    /// Deletes up to `limit` counters whose window ended before `before`. How many were deleted.
    async fn delete_ended_attempts(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}

/// Everything Countersign keeps.
#[async_trait]
pub trait Store: Users + Sessions + Revocations + Attempts + std::fmt::Debug {
    /// Brings the schema up to this version.
    ///
    /// # Errors
    /// [`Error::Schema`] when the database is of a newer version or its history was altered.
    async fn migrate(&self) -> Result<(), Error>;
    /// Whether the schema is exactly the one this program needs, without changing it.
    async fn check_schema(&self) -> Result<(), Error>;
    /// Answers when the store answers.
    async fn ping(&self) -> Result<(), Error>;
    /// Has the database prepare every statement: how a test knows that each fits the schema.
    #[doc(hidden)]
    async fn prepare_all(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Waits for running statements and closes every connection.
    async fn close(&self);
}

/// Opens the store that is configured: the file of SQLite is created when it does not exist (its folder must).
///
/// # Errors
/// [`Error::Unavailable`] in one sentence that says what could not be opened and why, never with a URL's password.
pub async fn open(options: &OpenOptions) -> Result<Arc<dyn Store>, Error> {
    match &options.database {
        Database::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path, options).await?)),
        Database::Postgres(url) => Ok(Arc::new(PostgresStore::open(url, options).await?)),
    }
}

/// Which database, parsed from `database_url`.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file of SQLite.
    Sqlite(std::path::PathBuf),
    /// A URL of PostgreSQL, password and all.
    Postgres(String),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres([redacted])"),
        }
    }
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Which database.
    pub database: Database,
    /// Connections at most (SQLite: readers; there is one writer).
    pub max_connections: u32,
    /// How long one call may take, seconds, waiting for a connection included.
    pub timeout: std::time::Duration,
}
