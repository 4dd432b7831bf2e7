//! PostgreSQL, for those who outgrow one machine.
//!
//! Every act is right under READ COMMITTED: single statements that decide by their own condition, and transactions that
//! take their row locks in one order.
//!
//! # When the server is gone without a word
//! A machine that vanishes closes no connection, and the kernel takes many minutes to notice. So a connection has to
//! answer within a fraction of the time-out when it is taken from the pool and when it comes back; one that does not is
//! dropped, and the pool is whole again as soon as the server is.

mod access_tokens;
mod accounts;
mod attempts;
mod audit;
mod expired;
mod factors;
mod listener;
mod revocations;
mod roles;
mod sessions;
mod users;
mod verifications;

use std::future::Future;
use std::time::Duration;

use rocket::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};

use super::session_reads::SessionReads;
use super::{Error, OpenOptions, Store, errors, sql};
use crate::clock::Timestamp;
use crate::metrics;

/// The store of many instances.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    session_reads: SessionReads<PgPool>,
    timeout: Duration,
}

pub(super) fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    // A host that uses sqlx too has `_sqlx_migrations` for itself.
    migrator.dangerous_set_table_name("_countersign_migrations");
    // Steps we do not know are judged afterwards, by the look at the schema.
    migrator.set_ignore_missing(true);
    migrator
}

pub(super) fn newest_migration() -> i64 {
    migrator().iter().map(|migration| migration.version).max().unwrap_or_default()
}

impl PostgresStore {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Unavailable`] in one sentence that names host and database, never the password.
    pub async fn open(url: &str, options: &OpenOptions) -> Result<Self, Error> {
        let connect: PgConnectOptions =
            url.parse().map_err(|_| Error::Unavailable("database_url is no URL of PostgreSQL".to_owned()))?;
        let place =
            format!("{}:{}/{}", connect.get_host(), connect.get_port(), connect.get_database().unwrap_or(""));
        // The server gives up together with us, and does not go on for nobody.
        let milliseconds = options.timeout.as_millis().to_string();
        let connect = connect.options([("statement_timeout", milliseconds.as_str())]);
        let patience = (options.timeout / 10).max(Duration::from_millis(250));
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.timeout)
            .test_before_acquire(false)
            .before_acquire(move |connection, _| Box::pin(answers(connection, patience)))
            .after_release(move |connection, _| Box::pin(answers(connection, patience)))
            .connect_with(connect)
            .await
            .map_err(|error| {
                Error::Unavailable(format!("PostgreSQL at {place} cannot be reached: {}", Error::from(error)))
            })?;
        // The other half is for everything else.
        let half = (options.max_connections / 2) as usize;
        let session_reads = SessionReads::new(pool.clone(), half, options.timeout);
        Ok(Self { pool, session_reads, timeout: options.timeout })
    }

    /// Ends within the time-out, one way or the other.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let began = metrics::begin();
        let late = |_| Error::Unavailable("no answer in time".to_owned());
        let answer = tokio::time::timeout(self.timeout, work).await.map_err(late).flatten();
        metrics::store_call(began, errors::outcome(&answer));
        answer
    }

    /// A transaction.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        Ok(self.pool.begin().await?)
    }

    /// A statement about one key. Whether it changed anything.
    async fn change(
        &self,
        query: sqlx::query::Query<'_, Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<bool, Error> {
        self.bounded(async { Ok(query.execute(&self.pool).await?.rows_affected() > 0) }).await
    }

    /// A bounded batch of deletions. How many rows went.
    async fn delete_batch(
        &self,
        statement: &'static str,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let query = sqlx::query(statement).bind(before.0).bind(i64::from(limit));
        self.bounded(async { Ok(query.execute(&self.pool).await?.rows_affected()) }).await
    }
}

/// Whether a connection answers within `patience`; one that does not is of no more use.
async fn answers(connection: &mut PgConnection, patience: Duration) -> Result<bool, sqlx::Error> {
    let silent = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(patience, connection.ping()).await.map_err(silent)??;
    Ok(true)
}

#[async_trait]
impl Store for PostgresStore {
    async fn migrate(&self) -> Result<(), Error> {
        let outcome = migrator().run(&self.pool).await;
        outcome.map_err(|error| errors::migration(error, newest_migration()))?;
        self.check_schema().await
    }

    async fn check_schema(&self) -> Result<(), Error> {
        let query = sqlx::query_scalar::<_, Option<i64>>(sql::SCHEMA_VERSION);
        let found = match self.bounded(async { Ok(query.fetch_one(&self.pool).await) }).await? {
            Ok(found) => found,
            // No such table: nothing was ever migrated.
            Err(sqlx::Error::Database(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let query = sqlx::query_as::<_, (i64, String)>(sql::STEPS_AFTER).bind(newest_migration());
        let beyond = match found {
            Some(_) => self.bounded(async { Ok(query.fetch_all(&self.pool).await?) }).await?,
            None => Vec::new(),
        };
        errors::compare_versions(found, &beyond, newest_migration())
    }

    async fn ping(&self) -> Result<(), Error> {
        self.bounded(async { Ok(sqlx::query(sql::PING).execute(&self.pool).await.map(drop)?) }).await
    }

    async fn prepare_all(&self) -> Result<(), Error> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let expired = expired::ALL.map(|(_, statement)| statement);
        for statement in sql::all().chain(expired).chain([
            sql::roles::SEARCH_USERS_BY_BYTES,
            sessions::INSERT_SESSION,
            sql::sessions::FIND_SESSIONS_OF_ARRAY,
            attempts::COUNT_ATTEMPT,
            attempts::RETURN_LAST_ATTEMPT,
            attempts::RETURN_ATTEMPT,
            revocations::NEXT_SEQUENCE,
            revocations::REVOKE,
            verifications::LOCK_OWNER,
        ]) {
            self.pool.prepare(statement.into_sql_str()).await?;
        }
        Ok(())
    }

    fn statements_of_lists(&self) -> Vec<(&'static str, &'static str)> {
        sql::LISTS
            .into_iter()
            .chain([("people", sql::roles::SEARCH_USERS_BY_BYTES)])
            .chain(expired::ALL)
            .collect()
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
