//! `countersign audit …`.

use std::sync::Arc;

use clap::Subcommand;
use countersign::audit::verify;
use countersign::clock::Timestamp;
use countersign::model::{AuditRecord, Email, UserId};
use countersign::secret::TokenHash;
use countersign::server::open_store;
use countersign::store::{AuditFilter, Store};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, macros::format_description};

use super::{config, say};

/// Records printed at a time.
const PAGE: u32 = 500;

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print records as JSON, one a line, oldest first.
    List {
        /// Only those about this user: an e-mail address or an id.
        #[arg(long)]
        user: Option<String>,
        /// Only those since this moment: 2026-01-31 or 2026-01-31T09:00:00Z.
        #[arg(long, value_parser = moment)]
        since: Option<Timestamp>,
    },
    /// Check that no record was altered, removed, moved or cut off. What is wrong is named, with exit code 1.
    Verify {
        /// A record noted earlier, as `verify` prints it (NUMBER:HASH): it must be there unaltered, too.
        #[arg(long, value_parser = noted)]
        noted: Option<Noted>,
    },
}

/// A record that somebody noted.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    sequence: i64,
    hash: String,
}

/// Runs a command on the audit log.
pub(super) async fn run(command: AuditCommand) -> Result<(), String> {
    let store = open_store(&config()?).await.map_err(|error| error.to_string())?;
    let outcome = match store.check_schema().await {
        Ok(()) => match command {
            AuditCommand::List { user, since } => list(&store, user.as_deref(), since).await,
            AuditCommand::Verify { noted } => check(&*store, noted).await,
        },
        Err(error) => Err(error.to_string()),
    };
    store.close().await;
    outcome
}

async fn list(store: &Arc<dyn Store>, user: Option<&str>, since: Option<Timestamp>) -> Result<(), String> {
    let user = match user {
        Some(text) => Some(user_of(store, text).await?),
        None => None,
    };
    let (filter, mut after) = (AuditFilter { user, since }, 0);
    loop {
        let page = store.audit_after(after, &filter, PAGE).await.map_err(|error| error.to_string())?;
        for record in &page {
            say(&shown(record).to_string());
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = last.sequence,
            _ => return Ok(()),
        }
    }
}

/// An address names the person who has it now; anything else is an id, perhaps of a user who is gone.
async fn user_of(store: &Arc<dyn Store>, text: &str) -> Result<UserId, String> {
    let Ok(email) = Email::parse(text) else {
        return Ok(UserId::from_existing(text));
    };
    let found = store.find_user_by_email(&email).await.map_err(|error| error.to_string())?;
    found.map(|found| found.user.id).ok_or_else(|| format!("nobody has the address {email}"))
}

async fn check(store: &dyn Store, noted: Option<Noted>) -> Result<(), String> {
    let verified = verify(store).await.map_err(|error| format!("the audit log: {error}"))?;
    if let Some(noted) = noted {
        let page = store.audit_after(noted.sequence.saturating_sub(1), &AuditFilter::default(), 1).await;
        let page = page.map_err(|error| error.to_string())?;
        let found = page.first().filter(|record| record.sequence == noted.sequence);
        if found.is_none_or(|record| record.hash.to_hex() != noted.hash) {
            return Err(format!(
                "the audit log: record {} is not the one that was noted: the log was made anew, or the record was \
                 deleted for its age",
                noted.sequence
            ));
        }
    }
    say(&format!(
        "The audit log is whole: {} records from {} on. Note its end elsewhere: {}:{}",
        verified.records,
        verified.anchor.sequence.saturating_add(1),
        verified.head.sequence,
        verified.head.hash.to_hex()
    ));
    Ok(())
}

fn shown(record: &AuditRecord) -> Value {
    let entry = &record.entry;
    json!({
        "sequence": record.sequence,
        "time": entry.at.to_rfc3339(),
        "event": entry.event,
        "outcome": entry.outcome,
        "user_id": entry.user_id,
        "email": entry.email,
        "address": entry.address,
        "request_id": entry.request_id,
        "session_id": entry.session_id.map(TokenHash::to_hex),
        // A record that was tampered with is printed all the same.
        "details": serde_json::from_str(&entry.details).unwrap_or_else(|_| Value::from(entry.details.as_str())),
        "hash": record.hash.to_hex(),
    })
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let day = format_description!("[year]-[month]-[day]");
    let found = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| Date::parse(text, &day).map(|date| date.midnight().assume_utc()));
    let found = found.map_err(|_| "write 2026-01-31 or 2026-01-31T09:00:00Z".to_owned())?;
    Ok(Timestamp(found.unix_timestamp()))
}

fn noted(text: &str) -> Result<Noted, String> {
    let found = text.split_once(':').and_then(|(sequence, hash)| {
        let whole = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        Some(Noted { sequence: sequence.parse().ok()?, hash: whole.then(|| hash.to_lowercase())? })
    });
    found.ok_or_else(|| "write NUMBER:HASH, as `countersign audit verify` prints it".to_owned())
}
