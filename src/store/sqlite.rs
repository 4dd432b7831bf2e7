//! SQLite, embedded.
//!
//! One writer and a pool of readers: SQLite has one write lock, and a queue of our own in front of it never sees
//! "database is locked". WAL lets readers go on meanwhile, and `synchronous = FULL` keeps what an answer reported through
//! a crash of the machine.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use rocket::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use super::rows::{
    CredentialRow, RevocationRow, SessionAndUserRow, SessionRow, UserRow, all, hash, stored_subject,
};
use super::{
    AttemptCount, Attempts, Created, Error, Inserted, OpenOptions, Revocations, Sessions, Store,
    UserWithPassword, Users, errors, file, sql,
};
use crate::clock::Timestamp;
use crate::model::{DisplayName, Email, NewUser, Revocation, SessionRecord, Subject, User, UserId};
use crate::secret::TokenHash;

const INSERT_SESSION: &str = "INSERT INTO sessions (id, user_id, strategy, method, authenticated_at, expires_at, \
     renewed_at, user_agent, address, claims) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
     WHERE EXISTS (SELECT 1 FROM users WHERE id = $2 AND disabled_at IS NULL)";
const REVOKE: &str = "INSERT INTO revocations (kind, subject, sequence, not_after, expires_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, subject) DO UPDATE SET sequence = excluded.sequence, \
     not_after = max(revocations.not_after, excluded.not_after), \
     expires_at = max(revocations.expires_at, excluded.expires_at)";

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
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
            .busy_timeout(options.timeout);
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).acquire_timeout(options.timeout)
        };
        let writer = pool(1).connect_with(connect.clone()).await.map_err(|error| unusable(&error))?;
        let readers =
            pool(options.max_connections).connect_with(connect).await.map_err(|error| unusable(&error))?;
        Ok(Self { writer, readers, timeout: options.timeout })
    }

    /// Ends within the time-out, one way or the other.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let late = |_| Error::Unavailable("no answer in time".to_owned());
        tokio::time::timeout(self.timeout, work).await.map_err(late)?
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

#[async_trait]
impl Users for SqliteStore {
    async fn create_user(&self, user: &NewUser) -> Result<Created, Error> {
        let query = sqlx::query(sql::CREATE_USER)
            .bind(user.id.as_str())
            .bind(user.email.as_str())
            .bind(user.name.as_ref().map(DisplayName::as_str))
            .bind(user.password_hash.as_deref())
            .bind(user.created_at.0);
        Ok(if self.change(query).await? { Created::Created } else { Created::EmailTaken })
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<User>, Error> {
        let query = sqlx::query_as::<_, UserRow>(sql::FIND_USER).bind(id.as_str());
        self.bounded(async { query.fetch_optional(&self.readers).await?.map(User::try_from).transpose() })
            .await
    }

    async fn find_user_by_email(&self, email: &Email) -> Result<Option<UserWithPassword>, Error> {
        let query = sqlx::query_as::<_, CredentialRow>(sql::FIND_USER_BY_EMAIL).bind(email.as_str());
        self.bounded(async {
            query.fetch_optional(&self.readers).await?.map(UserWithPassword::try_from).transpose()
        })
        .await
    }

    async fn set_password_hash(&self, id: &UserId, hash: &str) -> Result<bool, Error> {
        self.change(sqlx::query(sql::SET_PASSWORD_HASH).bind(id.as_str()).bind(hash)).await
    }

    async fn change_password(
        &self,
        id: &UserId,
        hash: &str,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let changed =
                sqlx::query(sql::SET_PASSWORD_HASH).bind(id.as_str()).bind(hash).execute(&mut *act).await?;
            if changed.rows_affected() == 0 {
                return Ok(false);
            }
            end_all(&mut act, id, keep, revoke_until).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn set_name(&self, id: &UserId, name: Option<&DisplayName>) -> Result<bool, Error> {
        self.change(sqlx::query(sql::SET_NAME).bind(id.as_str()).bind(name.map(DisplayName::as_str))).await
    }

    async fn disable_user(
        &self,
        id: &UserId,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let disabled =
                sqlx::query(sql::DISABLE_USER).bind(id.as_str()).bind(now.0).execute(&mut *act).await?;
            if disabled.rows_affected() == 0 {
                return Ok(false);
            }
            end_all(&mut act, id, None, revoke_until).await?;
            revoke(&mut act, &Subject::User(id.clone()), now, revoke_until).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn enable_user(&self, id: &UserId) -> Result<bool, Error> {
        self.change(sqlx::query(sql::ENABLE_USER).bind(id.as_str())).await
    }

    async fn list_users(&self, after: Option<&Email>, limit: u32) -> Result<Vec<User>, Error> {
        let query = sqlx::query_as::<_, UserRow>(sql::LIST_USERS)
            .bind(after.map_or("", Email::as_str))
            .bind(i64::from(limit));
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }
}

#[async_trait]
impl Sessions for SqliteStore {
    async fn insert_session(&self, session: &SessionRecord) -> Result<Inserted, Error> {
        let query = sqlx::query(INSERT_SESSION)
            .bind(session.id.as_bytes().as_slice())
            .bind(session.user_id.as_str())
            .bind(session.strategy.as_str())
            .bind(session.method.as_str())
            .bind(session.authenticated_at.0)
            .bind(session.expires_at.0)
            .bind(session.renewed_at.0)
            .bind(session.user_agent.as_deref())
            .bind(session.address.as_deref())
            .bind(session.claims.as_str());
        Ok(if self.change(query).await? { Inserted::Inserted } else { Inserted::NoSuchUser })
    }

    async fn find_session(&self, id: &TokenHash) -> Result<Option<(SessionRecord, User)>, Error> {
        let query = sqlx::query_as::<_, SessionAndUserRow>(sql::FIND_SESSION).bind(id.as_bytes().as_slice());
        self.bounded(async { query.fetch_optional(&self.readers).await?.map(TryInto::try_into).transpose() })
            .await
    }

    async fn renew_session(
        &self,
        id: &TokenHash,
        renewed_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, Error> {
        let query = sqlx::query(sql::RENEW_SESSION)
            .bind(id.as_bytes().as_slice())
            .bind(renewed_at.0)
            .bind(expires_at.0);
        self.change(query).await
    }

    async fn list_sessions(&self, user: &UserId) -> Result<Vec<SessionRecord>, Error> {
        let query = sqlx::query_as::<_, SessionRow>(sql::LIST_SESSIONS).bind(user.as_str());
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }

    async fn end_session(
        &self,
        id: &TokenHash,
        owner: Option<&UserId>,
        revoke_until: Timestamp,
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let key = id.as_bytes().as_slice();
            let deletion = match owner {
                Some(owner) => sqlx::query(sql::DELETE_OWN_SESSION).bind(key).bind(owner.as_str()),
                None => sqlx::query(sql::DELETE_SESSION).bind(key),
            };
            let deleted = deletion.execute(&mut *act).await?.rows_affected() > 0;
            if owner.is_some() && !deleted {
                return Ok(false);
            }
            revoke(&mut act, &Subject::Session(*id), revoke_until, revoke_until).await?;
            act.commit().await?;
            Ok(deleted)
        })
        .await
    }

    async fn end_sessions_of(
        &self,
        user: &UserId,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<u64, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let ended = end_all(&mut act, user, keep, revoke_until).await?;
            act.commit().await?;
            Ok(ended)
        })
        .await
    }

    async fn delete_expired_sessions(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(sql::DELETE_EXPIRED_SESSIONS, before, limit).await
    }
}

#[async_trait]
impl Revocations for SqliteStore {
    async fn revoke(
        &self,
        subject: &Subject,
        not_after: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            revoke(&mut act, subject, not_after, expires_at).await?;
            Ok(act.commit().await?)
        })
        .await
    }

    async fn revocations_after(&self, after: i64, limit: u32) -> Result<Vec<Revocation>, Error> {
        let query =
            sqlx::query_as::<_, RevocationRow>(sql::REVOCATIONS_AFTER).bind(after).bind(i64::from(limit));
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }

    async fn delete_expired_revocations(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(sql::DELETE_EXPIRED_REVOCATIONS, before, limit).await
    }
}

#[async_trait]
impl Attempts for SqliteStore {
    async fn count_attempt(
        &self,
        key: &TokenHash,
        now: Timestamp,
        window: i64,
    ) -> Result<AttemptCount, Error> {
        let query = sqlx::query_as::<_, (i64, i64)>(sql::COUNT_ATTEMPT)
            .bind(key.as_bytes().as_slice())
            .bind(now.0)
            .bind(window);
        let (count, ends) = self.bounded(async { Ok(query.fetch_one(&self.writer).await?) }).await?;
        Ok(AttemptCount { count, window_ends: Timestamp(ends) })
    }

    async fn return_attempt(&self, key: &TokenHash) -> Result<(), Error> {
        self.change(sqlx::query(sql::RETURN_ATTEMPT).bind(key.as_bytes().as_slice())).await.map(drop)
    }

    async fn forget_attempts(&self, key: &TokenHash) -> Result<(), Error> {
        self.change(sqlx::query(sql::FORGET_ATTEMPTS).bind(key.as_bytes().as_slice())).await.map(drop)
    }

    async fn delete_ended_attempts(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(sql::DELETE_ENDED_ATTEMPTS, before, limit).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<(), Error> {
        file::migrate(&self.writer).await
    }

    async fn check_schema(&self) -> Result<(), Error> {
        let query = sqlx::query_scalar::<_, Option<i64>>(sql::SCHEMA_VERSION);
        let found = match self.bounded(async { Ok(query.fetch_one(&self.readers).await) }).await? {
            Ok(found) => found,
            // No such table: nothing was ever migrated.
            Err(sqlx::Error::Database(_)) => None,
            Err(error) => return Err(error.into()),
        };
        errors::compare_versions(found, file::newest_migration())
    }

    async fn ping(&self) -> Result<(), Error> {
        self.bounded(async { Ok(sqlx::query(sql::PING).execute(&self.readers).await.map(drop)?) }).await
    }

    async fn prepare_all(&self) -> Result<(), Error> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        for statement in sql::ALL.into_iter().chain([INSERT_SESSION, REVOKE]) {
            self.readers.prepare(statement.into_sql_str()).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Adds a revocation within an act.
async fn revoke(
    act: &mut Transaction<'static, Sqlite>,
    subject: &Subject,
    not_after: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    let sequence: i64 = sqlx::query_scalar(sql::NEXT_SEQUENCE).fetch_one(&mut **act).await?;
    let (kind, subject) = stored_subject(subject);
    let query =
        sqlx::query(REVOKE).bind(kind).bind(subject).bind(sequence).bind(not_after.0).bind(expires_at.0);
    query.execute(&mut **act).await?;
    Ok(())
}

/// Ends all sessions of a user but `keep` within an act. How many ended.
async fn end_all(
    act: &mut Transaction<'static, Sqlite>,
    user: &UserId,
    keep: Option<&TokenHash>,
    revoke_until: Timestamp,
) -> Result<u64, Error> {
    let keep: &[u8] = keep.map_or(&[], |keep| keep.as_bytes());
    let query = sqlx::query_scalar::<_, Vec<u8>>(sql::DELETE_OTHER_SESSIONS).bind(user.as_str()).bind(keep);
    let ended = query.fetch_all(&mut **act).await?;
    for id in &ended {
        revoke(act, &Subject::Session(hash(id)?), revoke_until, revoke_until).await?;
    }
    Ok(ended.len() as u64)
}
