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
//! # Why two folders of SQL
//! A concern is one file here (its trait), one in `sql/` (statements that are the same in both databases), and one each in
//! `sqlite/` and `postgres/`: the same methods in the same order but for types, so that their `diff` is the review. A checked query macro can see only one database per package, and a common
//! denominator would cost the native types. One contract suite runs over both, and a test prepares every statement.

mod access_tokens;
mod accounts;
mod attempts;
mod audit;
mod batches;
mod errors;
mod factors;
mod file;
mod kept;
mod moving;
mod postgres;
mod revocations;
mod roles;
mod rows;
mod session_reads;
mod sessions;
mod sql;
mod sqlite;
mod users;
mod verifications;

use std::sync::Arc;

use rocket::async_trait;

pub use access_tokens::AccessTokens;
pub use accounts::{Accounts, Linked, SealedTokens, Unlinked};
pub use attempts::{AttemptCount, Attempts};
pub use audit::{Audit, AuditEnds, AuditFilter};
pub(crate) use batches::in_batches;
pub use factors::{Ends, FactorStore, PasskeyAdded};
pub use moving::{MoveError, Moved, Progress, move_to_postgres};
pub use postgres::PostgresStore;
pub use revocations::Revocations;
pub use roles::Roles;
pub use sessions::{Inserted, Replaced, Sessions};
pub use sqlite::SqliteStore;
pub use users::{Created, UserWithPassword, Users};
pub use verifications::{CodeAttempt, EmailChange, Redeemed, Redemption, Verifications};

/// Why a store could not answer. None of these means "not found" and none means "no".
#[derive(Debug, Clone, thiserror::Error)]
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

/// Everything Countersign keeps.
#[async_trait]
pub trait Store:
    Users
    + Sessions
    + Revocations
    + Attempts
    + Verifications
    + Audit
    + FactorStore
    + Roles
    + AccessTokens
    + Accounts
    + std::fmt::Debug
{
    /// Brings the schema up to this version. A database that is one step ahead is left as it is, when that step only
    /// expands the schema.
    ///
    /// # Errors
    /// [`Error::Schema`] when the database is of a newer version otherwise, or its history was altered.
    async fn migrate(&self) -> Result<(), Error>;
    /// Whether the schema is one this program works with, without changing it: its own, or the next one when that only
    /// expands it.
    async fn check_schema(&self) -> Result<(), Error>;
    /// Answers when the store answers.
    async fn ping(&self) -> Result<(), Error>;
    /// Has the database prepare every statement: how a test knows that each fits the schema.
    #[doc(hidden)]
    async fn prepare_all(&self) -> Result<(), Error> {
        Ok(())
    }
    /// The statements behind the administrator's pages and the clean-up, by what they list or delete: how a test knows that
    /// an index serves each.
    #[doc(hidden)]
    fn statements_of_lists(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
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
