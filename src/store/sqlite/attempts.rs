//! Attempts, in SQLite.
//!
//! Every statement goes to SQLite's thread and its answer comes back, which takes longer than most statements do: so
//! several counters are one statement. SQLite lets one connection write at a time, so what the statement reads of the limits
//! is true until its end; PostgreSQL has to hold one counter after the other.

use rocket::async_trait;

use super::{SqliteStore, expired};
use crate::clock::Timestamp;
use crate::secret::TokenHash;
use crate::store::{AttemptCount, Attempts, Error, sql};

/// `$1` holds a pair for each counter: the key in hexadecimal digits, and its limit.
pub(super) const COUNT_ATTEMPTS: &str = "WITH asked AS (SELECT json_each.key AS place, unhex(value ->> 0) AS key, \
     value ->> 1 AS most FROM json_each($1)), \
     over AS (SELECT MIN(place) AS place FROM asked LEFT JOIN attempts ON attempts.key = asked.key AND window_ends > $2 \
     WHERE COALESCE(count, 0) >= most) \
     INSERT INTO attempts (key, count, window_ends) SELECT asked.key, 1, $2 + $3 FROM asked, over \
     WHERE over.place IS NULL OR asked.place <= over.place \
     ON CONFLICT (key) DO UPDATE SET \
     count = CASE WHEN window_ends <= $2 THEN 1 ELSE count + 1 END, \
     window_ends = CASE WHEN window_ends <= $2 THEN excluded.window_ends ELSE window_ends END \
     RETURNING key, count, window_ends";
/// `$1` holds the keys in hexadecimal digits. A counter of nothing says nothing: its row goes, or a flood of names that were
/// all taken back would fill the table.
pub(super) const RETURN_ATTEMPTS: &str = "DELETE FROM attempts \
     WHERE key IN (SELECT unhex(value) FROM json_each($1)) AND count <= 1; \
     UPDATE attempts SET count = count - 1 WHERE key IN (SELECT unhex(value) FROM json_each($1))";

#[async_trait]
impl Attempts for SqliteStore {
    async fn count_attempts(
        &self,
        counters: &[(TokenHash, i64)],
        now: Timestamp,
        window: i64,
    ) -> Result<Vec<AttemptCount>, Error> {
        let asked = json(counters.iter().map(|(key, limit)| (key.to_hex(), *limit)).collect::<Vec<_>>())?;
        let query =
            sqlx::query_as::<_, (Vec<u8>, i64, i64)>(COUNT_ATTEMPTS).bind(asked).bind(now.0).bind(window);
        // Read to its end: only then it is known to be committed.
        let rows = self.bounded(async { Ok(query.fetch_all(&self.writer).await?) }).await?;
        Ok(in_order(counters, &rows))
    }

    async fn return_attempts(&self, keys: &[TokenHash]) -> Result<(), Error> {
        let keys = json(keys.iter().map(|key| key.to_hex()).collect::<Vec<_>>())?;
        self.bounded(async {
            let mut act = self.begin().await?;
            sqlx::query(RETURN_ATTEMPTS).bind(keys).execute(&mut *act).await?;
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

fn json(asked: impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(&asked).map_err(|error| Error::Corrupt(error.to_string()))
}

/// The rows come in no order that is promised.
fn in_order(counters: &[(TokenHash, i64)], rows: &[(Vec<u8>, i64, i64)]) -> Vec<AttemptCount> {
    let count_of = |(key, _): &(TokenHash, i64)| {
        let (_, count, ends) = rows.iter().find(|(counted, ..)| counted == key.as_bytes())?;
        Some(AttemptCount { count: *count, window_ends: Timestamp(*ends) })
    };
    counters.iter().map_while(count_of).collect()
}
