//! Sessions, in SQLite.

use rocket::async_trait;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::query::QueryScalar;
use sqlx::sqlite::SqlitePool;

use super::accounts::hold;
use super::revocations::{end_all, revoke};
use super::{SqliteStore, expired};
use crate::clock::Timestamp;
use crate::model::{SecurityStamp, SessionRecord, Subject, User, UserId};
use crate::secret::TokenHash;
use crate::store::kept::{Found, ReadSessions, TOGETHER};
use crate::store::rows::{SessionRow, all, hash, sessions_of_text};
use crate::store::{Error, Inserted, Replaced, Sessions, sql};

pub(super) const INSERT_SESSION: &str = "INSERT INTO sessions (id, user_id, strategy, method, authenticated_at, expires_at, \
     renewed_at, user_agent, address, claims) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
     WHERE EXISTS (SELECT 1 FROM users WHERE id = $2 AND disabled_at IS NULL AND security_stamp = $11)";

/// Sessions and their users as one text, in the order of `SessionAndUserRow`: the driver copies every column of every row by
/// itself and wakes its caller for each row, which takes longer than to write the text and to read it. A column that holds
/// bytes is no part of a row that we wrote (and JSON's functions would take some bytes for JSON): such a row is null.
macro_rules! session_and_user {
    () => {
        "SELECT json_group_array(json_array(lower(hex(sessions.id)), CASE WHEN 'blob' IN (typeof(sessions.user_id), typeof(sessions.strategy), \
         typeof(sessions.method), typeof(sessions.authenticated_at), typeof(sessions.expires_at), \
         typeof(sessions.renewed_at), typeof(sessions.user_agent), typeof(sessions.address), typeof(sessions.claims), \
         typeof(users.id), typeof(users.email), typeof(users.name), typeof(users.image), \
         typeof(users.email_verified_at), typeof(users.disabled_at), typeof(users.created_at), \
         typeof(users.security_stamp)) THEN NULL \
         ELSE json_array(json_array(sessions.user_id, sessions.strategy, sessions.method, \
         sessions.authenticated_at, sessions.expires_at, sessions.renewed_at, sessions.user_agent, sessions.address, \
         sessions.claims), json_array(users.id, users.email, users.name, users.image, users.email_verified_at, \
         users.disabled_at, users.created_at, users.security_stamp)) END)) \
         FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id "
    };
}
pub(super) const FIND_SESSION: &str = concat!(session_and_user!(), "= $1");
const _: () = assert!(TOGETHER == 16, "as many as the statement has places");
/// What is not needed is null.
pub(super) const FIND_SESSIONS: &str = concat!(
    session_and_user!(),
    "IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
);

#[async_trait]
impl ReadSessions for SqlitePool {
    type Connection = PoolConnection<Sqlite>;

    async fn connect(&self) -> Result<Self::Connection, Error> {
        Ok(self.acquire().await?)
    }

    async fn read_sessions(by: &mut Self::Connection, ids: &[TokenHash]) -> Result<Vec<Found>, Error> {
        let (statement, places) = match ids {
            [_] => (FIND_SESSION, 1),
            _ => (FIND_SESSIONS, TOGETHER),
        };
        let all = ids.iter().map(|id| Some(id.as_bytes().as_slice())).chain(std::iter::repeat(None));
        // As bytes: what is no text is a row's fault, and not the driver's.
        let query = all.take(places).fold(sqlx::query_scalar::<_, Vec<u8>>(statement), QueryScalar::bind);
        sessions_of_text(&query.fetch_one(&mut **by).await?)
    }
}

#[async_trait]
impl Sessions for SqliteStore {
    async fn insert_session(
        &self,
        session: &SessionRecord,
        seen: SecurityStamp,
        replaces: Option<Replaced>,
    ) -> Result<Inserted, Error> {
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
            .bind(session.claims.as_str())
            .bind(seen.0);
        let Some(old) = replaces else {
            return Ok(if self.change(query).await? { Inserted::Inserted } else { Inserted::UserChanged });
        };
        self.bounded(async {
            let mut act = self.begin().await?;
            if query.execute(&mut *act).await?.rows_affected() == 0 {
                return Ok(Inserted::UserChanged);
            }
            let end = sqlx::query(sql::sessions::DELETE_SESSION).bind(old.id.as_bytes().as_slice());
            end.execute(&mut *act).await?;
            revoke(&mut act, &Subject::Session(old.id), old.revoke_until, old.revoke_until).await?;
            act.commit().await?;
            Ok(Inserted::Inserted)
        })
        .await
    }

    async fn find_session(&self, id: &TokenHash) -> Result<Option<(SessionRecord, User)>, Error> {
        self.bounded(self.session_reads.find(*id)).await
    }

    async fn renew_session(
        &self,
        id: &TokenHash,
        renewed_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, Error> {
        let query = sqlx::query(sql::sessions::RENEW_SESSION)
            .bind(id.as_bytes().as_slice())
            .bind(renewed_at.0)
            .bind(expires_at.0);
        self.change(query).await
    }

    async fn list_sessions(&self, user: &UserId) -> Result<Vec<SessionRecord>, Error> {
        let query = sqlx::query_as::<_, SessionRow>(sql::sessions::LIST_SESSIONS).bind(user.as_str());
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
                Some(owner) => sqlx::query(sql::sessions::DELETE_OWN_SESSION).bind(key).bind(owner.as_str()),
                None => sqlx::query(sql::sessions::DELETE_SESSION).bind(key),
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
    ) -> Result<Vec<TokenHash>, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let ended = end_all(&mut act, user, keep, revoke_until).await?;
            act.commit().await?;
            Ok(ended)
        })
        .await
    }

    async fn end_oldest_sessions(
        &self,
        user: &UserId,
        keep: &TokenHash,
        most: u32,
        revoke_until: Timestamp,
    ) -> Result<Vec<TokenHash>, Error> {
        let count = sqlx::query_scalar::<_, i64>(sql::sessions::COUNT_SESSIONS).bind(user.as_str());
        self.bounded(async {
            // Nearly nobody has so many: then nothing is written.
            if count.fetch_one(&self.readers).await? <= i64::from(most) {
                return Ok(Vec::new());
            }
            let mut act = self.begin().await?;
            // Of two who come in at once, each would end the same ones.
            hold(&mut act, user).await?;
            let ended = sqlx::query_scalar::<_, Vec<u8>>(sql::sessions::DELETE_OLDEST_SESSIONS)
                .bind(user.as_str())
                .bind(keep.as_bytes().as_slice())
                .bind(i64::from(most))
                .fetch_all(&mut *act)
                .await?;
            let ended: Vec<TokenHash> = ended.iter().map(|id| hash(id)).collect::<Result<_, _>>()?;
            for id in &ended {
                revoke(&mut act, &Subject::Session(*id), revoke_until, revoke_until).await?;
            }
            act.commit().await?;
            Ok(ended)
        })
        .await
    }

    async fn delete_expired_sessions(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(expired::SESSIONS, before, limit).await
    }
}
