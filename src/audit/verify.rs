//! Reading the chain through.

use std::fmt;

use crate::model::{AuditRecord, ChainMark};
use crate::store::{self, AuditEnds, AuditFilter, Store};

/// Records read at a time.
const PAGE: u32 = 500;

/// A chain without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Records that were read.
    pub records: u64,
    /// What the first of them follows.
    pub anchor: ChainMark,
    /// The last of them: note it elsewhere, and a chain that was made anew shows.
    pub head: ChainMark,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A record does not fit its hash, or the record before it.
    Altered {
        /// Its number.
        sequence: i64,
    },
    /// A record cannot even be read.
    Unreadable {
        /// Its number.
        sequence: i64,
    },
    /// A record is not there.
    Missing {
        /// Its number.
        sequence: i64,
    },
    /// The last records are not there.
    CutOff {
        /// The last that is there.
        last: i64,
        /// The last that was written.
        head: i64,
    },
    /// The noted end of the chain is not the end.
    HeadAltered {
        /// The number it names.
        sequence: i64,
    },
    /// The noted ends of the chain are missing or cannot be read.
    EndsMissing,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { sequence } => {
                write!(f, "record {sequence} was altered, or is not the one that was written there")
            }
            Self::Unreadable { sequence } => write!(f, "record {sequence} cannot be read"),
            Self::Missing { sequence } => write!(f, "record {sequence} is missing"),
            Self::CutOff { last, head } => {
                write!(f, "the records after {last} are missing: the last one written is {head}")
            }
            Self::HeadAltered { sequence } => {
                write!(f, "the noted end of the log, record {sequence}, was altered")
            }
            Self::EndsMissing => write!(f, "the noted ends of the log are missing"),
        }
    }
}

/// Why a chain is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Somebody changed it.
    #[error("{0}")]
    Broken(Finding),
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Reads all records and checks that each follows the one before, from the anchor to the head. The log may grow and be
/// pruned meanwhile.
///
/// # Errors
/// [`VerifyError::Broken`] with the first finding.
pub async fn verify(store: &dyn Store) -> Result<Verified, VerifyError> {
    loop {
        let ends = ends(store).await?;
        let outcome = follow(store, &ends).await;
        // Pruned while it was read: the beginning is another now.
        if outcome.is_err() && self::ends(store).await?.anchor != ends.anchor {
            continue;
        }
        return outcome;
    }
}

async fn ends(store: &dyn Store) -> Result<AuditEnds, VerifyError> {
    match store.audit_ends().await {
        Err(store::Error::Corrupt(_)) => Err(VerifyError::Broken(Finding::EndsMissing)),
        other => Ok(other?),
    }
}

async fn follow(store: &dyn Store, ends: &AuditEnds) -> Result<Verified, VerifyError> {
    let (mut last, mut records) = (ends.anchor, 0);
    let mut fits = last == ends.head;
    loop {
        let page = page(store, last.sequence).await?;
        if page.is_empty() {
            break;
        }
        for record in &page {
            check(record, &last).map_err(VerifyError::Broken)?;
            last = record.mark();
            fits |= last == ends.head;
            records += 1;
        }
    }
    if last.sequence < ends.head.sequence {
        let finding = Finding::CutOff { last: last.sequence, head: ends.head.sequence };
        return Err(VerifyError::Broken(finding));
    }
    if !fits {
        return Err(VerifyError::Broken(Finding::HeadAltered { sequence: ends.head.sequence }));
    }
    Ok(Verified { records, anchor: ends.anchor, head: last })
}

fn check(record: &AuditRecord, last: &ChainMark) -> Result<(), Finding> {
    let expected = last.sequence.saturating_add(1);
    if record.sequence != expected {
        return Err(Finding::Missing { sequence: expected });
    }
    if record.follows(last) { Ok(()) } else { Err(Finding::Altered { sequence: record.sequence }) }
}

/// The next records. When one of many cannot be read they are read one by one, so that it has a name.
async fn page(store: &dyn Store, after: i64) -> Result<Vec<AuditRecord>, VerifyError> {
    let all = AuditFilter::default();
    match store.audit_after(after, &all, PAGE).await {
        Err(store::Error::Corrupt(_)) => match store.audit_after(after, &all, 1).await {
            Err(store::Error::Corrupt(_)) => {
                Err(VerifyError::Broken(Finding::Unreadable { sequence: after.saturating_add(1) }))
            }
            other => Ok(other?),
        },
        other => Ok(other?),
    }
}
