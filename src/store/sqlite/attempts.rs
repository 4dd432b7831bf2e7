//! Attempts, in SQLite.

use rocket::async_trait;

use super::{SqliteStore, expired};
use crate::clock::Timestamp;
use crate::secret::TokenHash;
use crate::store::{AttemptCount, Attempts, Error, sql};

#[async_trait]
impl Attempts for SqliteStore {
    async fn count_attempt(
        &self,
        key: &TokenHash,
        now: Timestamp,
        window: i64,
    ) -> Result<AttemptCount, Error> {
        let query = sqlx::query_as::<_, (i64, i64)>(sql::attempts::COUNT_ATTEMPT)
            .bind(key.as_bytes().as_slice())
            .bind(now.0)
            .bind(window);
        // Read to its end: only then it is known to be committed.
        let counted = self.bounded(async { Ok(query.fetch_all(&self.writer).await?) }).await?;
        let (count, ends) = counted.first().copied().ok_or(sqlx::Error::RowNotFound)?;
        Ok(AttemptCount { count, window_ends: Timestamp(ends) })
    }

    async fn return_attempt(&self, key: &TokenHash) -> Result<(), Error> {
        let statement = |text| sqlx::query(text).bind(key.as_bytes().as_slice());
        if !self.change(statement(sql::attempts::RETURN_LAST_ATTEMPT)).await? {
            self.change(statement(sql::attempts::RETURN_ATTEMPT)).await?;
        }
        Ok(())
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
