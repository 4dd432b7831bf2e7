//! The audit log, in SQLite.

use rocket::async_trait;
use sqlx::{Sqlite, Transaction};

use super::SqliteStore;
use crate::clock::Timestamp;
use crate::model::{AuditEntry, AuditRecord, ChainMark, UserId};
use crate::store::rows::{AuditRow, all, audit_ends, chain_mark, missing_mark, pruned_record};
use crate::store::{Audit, AuditEnds, AuditFilter, Error, sql};

#[async_trait]
impl Audit for SqliteStore {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<Vec<AuditRecord>, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
            let taken: Option<(i64, Vec<u8>)> =
                sqlx::query_as(sql::audit::TAKE_HEAD).bind(count).fetch_optional(&mut *act).await?;
            let (last, hash) = taken.ok_or_else(|| missing_mark("head"))?;
            let mut head = chain_mark(last - count, &hash)?;
            let mut records = Vec::with_capacity(entries.len());
            for entry in entries {
                let record = entry.clone().chained(&head);
                insert(&mut act, &record).await?;
                head = record.mark();
                records.push(record);
            }
            act.commit().await?;
            Ok(records)
        })
        .await
    }

    async fn audit_after(
        &self,
        after: i64,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        let query = sqlx::query_as::<_, AuditRow>(sql::audit::RECORDS_AFTER)
            .bind(after)
            .bind(filter.since.map_or(i64::MIN, |since| since.0))
            .bind(filter.user.as_ref().map(UserId::as_str))
            .bind(i64::from(limit));
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }

    async fn audit_ends(&self) -> Result<AuditEnds, Error> {
        let query = sqlx::query_as::<_, (i64, Vec<u8>, i64, Vec<u8>)>(sql::audit::ENDS);
        self.bounded(async { audit_ends(query.fetch_optional(&self.readers).await?) }).await
    }

    async fn prune_audit(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let anchor: Option<i64> =
                sqlx::query_scalar(sql::audit::TAKE_ANCHOR).fetch_optional(&mut *act).await?;
            let anchor = anchor.ok_or_else(|| missing_mark("anchor"))?;
            let batch_ends = anchor.saturating_add(i64::from(limit));
            let last_old =
                sqlx::query_scalar(sql::audit::LAST_OLD).bind(anchor).bind(batch_ends).bind(before.0);
            let last_old: Option<i64> = last_old.fetch_one(&mut *act).await?;
            let last = last_old.unwrap_or_default().min(batch_ends);
            if last <= anchor {
                return Ok(0);
            }
            let hash: Option<Vec<u8>> =
                sqlx::query_scalar(sql::audit::RECORD_HASH).bind(last).fetch_optional(&mut *act).await?;
            let mark: ChainMark = pruned_record(last, hash.as_deref())?;
            let deleted = sqlx::query(sql::audit::PRUNE).bind(anchor).bind(last).execute(&mut *act).await?;
            let moved = sqlx::query(sql::audit::MOVE_ANCHOR).bind(mark.sequence);
            moved.bind(mark.hash.as_bytes().as_slice()).execute(&mut *act).await?;
            act.commit().await?;
            Ok(deleted.rows_affected())
        })
        .await
    }
}

/// Adds a record within an act, and moves the head to it: one way to SQLite's thread for both.
async fn insert(act: &mut Transaction<'static, Sqlite>, record: &AuditRecord) -> Result<(), Error> {
    let entry = &record.entry;
    let query = sqlx::query(sql::audit::APPEND_AND_MOVE_HEAD)
        .bind(record.sequence)
        .bind(entry.at.0)
        .bind(entry.event.as_str())
        .bind(entry.outcome.as_str())
        .bind(entry.user_id.as_ref().map(UserId::as_str))
        .bind(entry.email.as_deref())
        .bind(entry.address.as_deref())
        .bind(entry.request_id.as_deref())
        .bind(entry.session_id.as_ref().map(|id| id.as_bytes().as_slice()))
        .bind(entry.details.as_str())
        .bind(record.hash.as_bytes().as_slice());
    query.execute(&mut **act).await?;
    Ok(())
}
