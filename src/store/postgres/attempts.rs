//! Attempts, in PostgreSQL.

use rocket::async_trait;
use sqlx::{Executor, Postgres};

use super::{PostgresStore, expired};
use crate::clock::Timestamp;
use crate::secret::TokenHash;
use crate::store::{AttemptCount, Attempts, Error, sql};

/// The casts tell PostgreSQL the types of what is added.
pub(super) const COUNT_ATTEMPT: &str = "INSERT INTO attempts (key, count, window_ends) \
     VALUES ($1, 1, CAST($2 AS BIGINT) + CAST($3 AS BIGINT)) ON CONFLICT (key) DO UPDATE SET \
     count = CASE WHEN attempts.window_ends <= $2 THEN 1 ELSE attempts.count + 1 END, \
     window_ends = CASE WHEN attempts.window_ends <= $2 THEN excluded.window_ends ELSE attempts.window_ends END \
     RETURNING count, window_ends";
/// A counter of nothing says nothing: its row goes, or a flood of names that were all taken back would fill the table.
pub(super) const RETURN_LAST_ATTEMPT: &str = "DELETE FROM attempts WHERE key = $1 AND count <= 1";
pub(super) const RETURN_ATTEMPT: &str = "UPDATE attempts SET count = count - 1 WHERE key = $1 AND count > 0";

#[async_trait]
impl Attempts for PostgresStore {
    async fn count_attempts(
        &self,
        counters: &[(TokenHash, i64)],
        now: Timestamp,
        window: i64,
    ) -> Result<Vec<AttemptCount>, Error> {
        self.bounded(async {
            if let [(key, _)] = counters {
                return Ok(vec![count(&self.pool, key, now, window).await?]);
            }
            let mut act = self.begin().await?;
            let mut counts = Vec::with_capacity(counters.len());
            for (key, limit) in counters {
                let counted = count(&mut *act, key, now, window).await?;
                counts.push(counted);
                if counted.count > *limit {
                    break;
                }
            }
            act.commit().await?;
            Ok(counts)
        })
        .await
    }

    async fn return_attempts(&self, keys: &[TokenHash]) -> Result<(), Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            for key in keys {
                let statement = |text| sqlx::query(text).bind(key.as_bytes().as_slice());
                let last = statement(RETURN_LAST_ATTEMPT).execute(&mut *act).await?;
                if last.rows_affected() == 0 {
                    statement(RETURN_ATTEMPT).execute(&mut *act).await?;
                }
            }
            act.commit().await?;
            Ok(())
        })
        .await
    }

    async fn forget_attempts(&self, key: &TokenHash) -> Result<(), Error> {
        self.change(sqlx::query(sql::attempts::FORGET_ATTEMPTS).bind(key.as_bytes().as_slice()))
            .await
            .map(drop)
    }

    async fn delete_ended_attempts(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(expired::ATTEMPTS, before, limit).await
    }
}

async fn count(
    by: impl Executor<'_, Database = Postgres>,
    key: &TokenHash,
    now: Timestamp,
    window: i64,
) -> Result<AttemptCount, Error> {
    let query = sqlx::query_as::<_, (i64, i64)>(COUNT_ATTEMPT)
        .bind(key.as_bytes().as_slice())
        .bind(now.0)
        .bind(window);
    // Read to its end: only then it is known to be committed, where it is an act by itself.
    let counted = query.fetch_all(by).await?;
    let (count, ends) = counted.first().copied().ok_or(sqlx::Error::RowNotFound)?;
    Ok(AttemptCount { count, window_ends: Timestamp(ends) })
}
