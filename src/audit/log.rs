//! Writing records.

use std::sync::{Arc, Mutex, PoisonError};

use super::context::RequestContext;
use super::entry::Entry;
use super::event::{AuditEvent, Outcome};
use super::flood::Flood;
use crate::clock::{Clock, Timestamp};
use crate::config::AuditLogConfig;
use crate::metrics;
use crate::model::{AuditEntry, AuditRecord, UserId};
use crate::secret::TokenHash;
use crate::store::{self, Store, in_batches};

/// Records appended by one act.
const APPEND_BATCH: usize = 100;

/// Records what happens. See the [module](super).
#[derive(Debug)]
pub struct AuditLog {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keep: i64,
    refusals: Mutex<Flood>,
}

impl AuditLog {
    /// As configured.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &AuditLogConfig) -> Self {
        let refusals = Mutex::new(Flood::new(config.refusals_per_minute as usize));
        Self { store, clock, keep: config.keep, refusals }
    }

    /// Records an act, before it is answered; a refusal as [`AuditLog::refuse`] does.
    pub async fn record(&self, entry: Entry) {
        if entry.event.outcome() == Outcome::Refused {
            return self.refuse(entry);
        }
        let entry = located(entry);
        count(entry.event);
        let entries = [entry.at(self.clock.now())];
        if let Err(error) = self.append(&entries).await {
            lose(&entries, &error);
        }
    }

    /// Records a refusal, a moment later and bounded. It asks the store nothing.
    pub fn refuse(&self, entry: Entry) {
        let entry = located(entry);
        count(entry.event);
        if let Some(request) = RequestContext::current() {
            request.note_refused();
        }
        let now = self.clock.now();
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).add(entry, now);
    }

    /// Writes the refusals that wait. What cannot be written now is tried again the next time.
    ///
    /// # Errors
    /// [`store::Error`]; the refusals wait on then, unless there are too many.
    pub async fn flush(&self) -> Result<(), store::Error> {
        let waiting = self.with_refusals(Flood::take);
        self.write(waiting).await
    }

    /// As [`AuditLog::flush`], with the repetitions of the minute that has not ended: before the process does.
    ///
    /// # Errors
    /// [`store::Error`]; what was not written is lost when the process ends.
    pub async fn flush_all(&self) -> Result<(), store::Error> {
        let waiting = self.with_refusals(Flood::take_all);
        self.write(waiting).await
    }

    /// Deletes the records that are older than they are kept, in bounded batches.
    ///
    /// # Errors
    /// [`store::Error`]; what was deleted stays deleted.
    pub async fn prune(&self) -> Result<(), store::Error> {
        let before = self.clock.now().plus(-self.keep);
        in_batches(|limit| self.store.prune_audit(before, limit)).await
    }

    fn with_refusals<T>(&self, work: impl FnOnce(&mut Flood, Timestamp) -> T) -> T {
        let now = self.clock.now();
        work(&mut self.refusals.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    async fn write(&self, mut waiting: Vec<AuditEntry>) -> Result<(), store::Error> {
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(APPEND_BATCH));
            if let Err(error) = self.append(&waiting).await {
                waiting.extend(rest);
                let lost = self.with_refusals(|refusals, _| refusals.put_back(waiting));
                lose(&lost, &error);
                return Err(error);
            }
            waiting = rest;
        }
        Ok(())
    }

    async fn append(&self, entries: &[AuditEntry]) -> Result<(), store::Error> {
        for record in self.store.append_audit(entries).await? {
            say(&record);
        }
        Ok(())
    }
}

fn count(event: AuditEvent) {
    metrics::audit_event(event.code(), event.outcome().code());
}

/// Adds where an entry comes from, when it is recorded within a request.
fn located(mut entry: Entry) -> Entry {
    if let Some(request) = RequestContext::current() {
        entry.address = entry.address.or(request.address);
        entry.request = entry.request.or_else(|| Some(request.id.clone()));
    }
    entry
}

/// The record's line in the log.
fn say(record: &AuditRecord) {
    let entry = &record.entry;
    // One macro call per level: the level of a line must be known when it is compiled.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "countersign::audit",
                sequence = record.sequence,
                at = entry.at.to_rfc3339(),
                event = entry.event,
                outcome = entry.outcome,
                user_id = entry.user_id.as_ref().map(UserId::as_str),
                email = entry.email,
                address = entry.address,
                request_id = entry.request_id,
                session_id = entry.session_id.map(TokenHash::to_hex),
                details = entry.details,
                hash = record.hash.to_hex(),
                "audit"
            )
        };
    }
    if entry.outcome == Outcome::Refused.code() { line!(warn) } else { line!(info) }
}

/// Records that the store does not have: they are in the log at least, and counted.
fn lose(entries: &[AuditEntry], error: &store::Error) {
    metrics::audit_lost(entries.len());
    for entry in entries {
        tracing::error!(
            target: "countersign::audit",
            %error,
            at = entry.at.to_rfc3339(),
            event = entry.event,
            outcome = entry.outcome,
            user_id = entry.user_id.as_ref().map(UserId::as_str),
            email = entry.email,
            address = entry.address,
            request_id = entry.request_id,
            session_id = entry.session_id.map(TokenHash::to_hex),
            details = entry.details,
            "an audit record could not be stored"
        );
    }
}
