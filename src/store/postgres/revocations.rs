//! Revocations, in PostgreSQL.

use rocket::async_trait;
use sqlx::{Postgres, Transaction};
use tokio::sync::Notify;

use super::{PostgresStore, expired, listener};
use crate::clock::Timestamp;
use crate::model::{Revocation, Subject, UserId};
use crate::secret::TokenHash;
use crate::store::rows::{RevocationRow, all, hash, stored_subject};
use crate::store::{Error, Revocations, sql};

/// Whoever listens is told when the transaction commits, and once however many revocations it holds.
pub(super) const NEXT_SEQUENCE: &str = "UPDATE counters SET value = value + 1 WHERE name = 'revocations' \
     RETURNING value, pg_notify('countersign_revocations', '')";
pub(super) const REVOKE: &str = "INSERT INTO revocations (kind, subject, sequence, not_after, expires_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, subject) DO UPDATE SET sequence = excluded.sequence, \
     not_after = greatest(revocations.not_after, excluded.not_after), \
     expires_at = greatest(revocations.expires_at, excluded.expires_at)";

#[async_trait]
impl Revocations for PostgresStore {
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
        let query = sqlx::query_as::<_, RevocationRow>(sql::revocations::REVOCATIONS_AFTER)
            .bind(after)
            .bind(i64::from(limit));
        self.bounded(async { all(query.fetch_all(&self.pool).await?) }).await
    }

    async fn listen_for_revocations(&self, heard: &Notify) -> Error {
        match listener::listen(&self.pool.connect_options(), self.timeout, heard).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn delete_expired_revocations(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(expired::REVOCATIONS, before, limit).await
    }
}

/// Adds a revocation within an act.
pub(super) async fn revoke(
    act: &mut Transaction<'static, Postgres>,
    subject: &Subject,
    not_after: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    let sequence: i64 = sqlx::query_scalar(NEXT_SEQUENCE).fetch_one(&mut **act).await?;
    let (kind, subject) = stored_subject(subject);
    let query =
        sqlx::query(REVOKE).bind(kind).bind(subject).bind(sequence).bind(not_after.0).bind(expires_at.0);
    query.execute(&mut **act).await?;
    Ok(())
}

/// Ends all sessions of a user but `keep` within an act, and the sign-ins that are under way. Which ended.
pub(super) async fn end_all(
    act: &mut Transaction<'static, Postgres>,
    user: &UserId,
    keep: Option<&TokenHash>,
    revoke_until: Timestamp,
) -> Result<Vec<TokenHash>, Error> {
    sqlx::query(sql::users::MOVE_STAMP_ON).bind(user.as_str()).execute(&mut **act).await?;
    let keep: &[u8] = keep.map_or(&[], |keep| keep.as_bytes());
    let query =
        sqlx::query_scalar::<_, Vec<u8>>(sql::sessions::DELETE_OTHER_SESSIONS).bind(user.as_str()).bind(keep);
    let ended = query.fetch_all(&mut **act).await?;
    let ended: Vec<TokenHash> = ended.iter().map(|id| hash(id)).collect::<Result<_, _>>()?;
    for id in &ended {
        revoke(act, &Subject::Session(*id), revoke_until, revoke_until).await?;
    }
    Ok(ended)
}

/// Ends everything that earlier proofs of a user opened but the session `keep`, within an act: sessions, personal access
/// tokens, and mailed secrets that open anything. Which sessions ended.
pub(super) async fn close_all(
    act: &mut Transaction<'static, Postgres>,
    user: &UserId,
    keep: Option<&TokenHash>,
    revoke_until: Timestamp,
) -> Result<Vec<TokenHash>, Error> {
    let ended = end_all(act, user, keep, revoke_until).await?;
    for statement in sql::accounts::CLOSE {
        sqlx::query(*statement).bind(user.as_str()).execute(&mut **act).await?;
    }
    Ok(ended)
}
