//! SQLite, embedded.
//!
//! One writer and a pool of readers: SQLite has one write lock, and a queue of our own in front of it never sees
//! "database is locked". WAL lets readers go on meanwhile, and `synchronous = FULL` keeps what an answer reported through
//! a crash of the machine.
//!
//! # When a write fails
//! On a full disk SQLite may roll a transaction back by itself; the driver does not notice, believes that it is still
//! inside, and would refuse every later transaction on that connection. So a connection that was left inside a transaction
//! is closed before it is lent again. And a file that may not be written just now is opened read-only without a
//! word: the writing connection has to begin a transaction before it is used.
//!
//! A statement that changes rows and returns them commits at its end, after the rows. It is read to its end
//! (`fetch_all`): a driver that stops at the first row does not hear of a commit that failed.

mod access_tokens;
mod accounts;
mod attempts;
mod audit;
mod expired;
mod factors;
mod revocations;
mod roles;
mod sessions;
mod users;
mod verifications;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use rocket::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, Transaction};

use super::session_reads::SessionReads;
use super::{Error, OpenOptions, Store, errors, file, sql};
use crate::clock::Timestamp;
use crate::metrics;

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    session_reads: SessionReads<SqlitePool>,
    timeout: Duration,
}

impl SqliteStore {
    /// Opens the file, creating it (for its owner only) when it does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`] in one sentence that names the file.
    pub async fn open(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let unusable = |error: &dyn std::fmt::Display| {
            Error::Unavailable(format!("the database {} cannot be opened: {error}", path.display()))
        };
        file::create_private(path).map_err(|error| unusable(&error))?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy_timeout(options.timeout));
        let pool = |connections| {
            // A thread of this process does not go away: what comes back is tested, and there is nothing to test again.
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(options.timeout)
                .test_before_acquire(false)
        };
        let writer = pool(1)
            .acquire_timeout(options.timeout / 2)
            .after_connect(|connection, _| Box::pin(must_be_writable(connection)))
            .before_acquire(|connection, _| Box::pin(std::future::ready(Ok(is_clean(connection)))))
            .connect_with(connect.clone())
            .await
            .map_err(|error| unusable(&error))?;
        let readers =
            pool(options.max_connections).connect_with(connect).await.map_err(|error| unusable(&error))?;
        // More reads than there are cores would only wait for each other.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let half = (options.max_connections / 2) as usize;
        let session_reads = SessionReads::new(readers.clone(), cores.min(half), options.timeout);
        Ok(Self { writer, readers, session_reads, timeout: options.timeout })
    }

    /// Ends within the time-out, one way or the other.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let began = metrics::begin();
        let late = |_| Error::Unavailable("no answer in time".to_owned());
        let answer = tokio::time::timeout(self.timeout, work).await.map_err(late).flatten();
        metrics::store_call(began, errors::outcome(&answer));
        answer
    }

    /// A transaction that holds the write lock from its first moment.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A statement about one key. Whether it changed anything.
    async fn change(
        &self,
        query: sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<bool, Error> {
        self.bounded(async { Ok(query.execute(&self.writer).await?.rows_affected() > 0) }).await
    }

    /// A bounded batch of deletions. How many rows went.
    async fn delete_batch(
        &self,
        statement: &'static str,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let query = sqlx::query(statement).bind(before.0).bind(i64::from(limit));
        self.bounded(async { Ok(query.execute(&self.writer).await?.rows_affected()) }).await
    }
}

/// How long SQLite itself waits for a lock that another process holds. Together with the wait for the one writer it is
/// less than a call may take: so it is SQLite that gives up, and no statement is carried out after its caller was told
/// that the answer is unknown.
fn busy_timeout(timeout: Duration) -> Duration {
    timeout.mul_f32(0.4)
}

/// Fails for a file that SQLite could open for reading only.
async fn must_be_writable(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    use sqlx::Executor as _;
    connection.execute("BEGIN IMMEDIATE").await?;
    connection.execute("ROLLBACK").await?;
    Ok(())
}

/// Whether a connection that came back is outside of any transaction. What was still to be rolled back is done by now: the
/// pool asked it for a sign of life when it came back, and the driver answers in turn.
fn is_clean(connection: &SqliteConnection) -> bool {
    let inside = connection.is_in_transaction();
    if inside {
        tracing::warn!("a connection to the database was left inside a transaction, and is replaced");
    }
    !inside
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<(), Error> {
        file::migrate(&self.writer).await?;
        self.check_schema().await
    }

    async fn check_schema(&self) -> Result<(), Error> {
        let query = sqlx::query_scalar::<_, Option<i64>>(sql::SCHEMA_VERSION);
        let found = match self.bounded(async { Ok(query.fetch_one(&self.readers).await) }).await? {
            Ok(found) => found,
            // No such table: nothing was ever migrated.
            Err(sqlx::Error::Database(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let query = sqlx::query_as::<_, (i64, String)>(sql::STEPS_AFTER).bind(file::newest_migration());
        let beyond = match found {
            Some(_) => self.bounded(async { Ok(query.fetch_all(&self.readers).await?) }).await?,
            None => Vec::new(),
        };
        errors::compare_versions(found, &beyond, file::newest_migration())
    }

    async fn ping(&self) -> Result<(), Error> {
        self.bounded(async { Ok(sqlx::query(sql::PING).execute(&self.readers).await.map(drop)?) }).await
    }

    async fn prepare_all(&self) -> Result<(), Error> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let expired = expired::ALL.map(|(_, statement)| statement);
        for statement in sql::all().chain(expired).chain([
            sql::roles::SEARCH_USERS,
            sessions::INSERT_SESSION,
            sessions::FIND_SESSION,
            sessions::FIND_SESSIONS,
            attempts::COUNT_ATTEMPTS,
            attempts::RETURN_ATTEMPTS,
            sql::audit::APPEND_AND_MOVE_HEAD,
            revocations::NEXT_SEQUENCE,
            revocations::REVOKE,
        ]) {
            self.readers.prepare(statement.into_sql_str()).await?;
        }
        Ok(())
    }

    fn statements_of_lists(&self) -> Vec<(&'static str, &'static str)> {
        sql::LISTS.into_iter().chain([("people", sql::roles::SEARCH_USERS)]).chain(expired::ALL).collect()
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
