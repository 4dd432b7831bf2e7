//! Moving from the embedded database to PostgreSQL.
//!
//! Everything is copied into tables of its own first (schema `countersign_moving`), piece by piece; then one transaction
//! puts it into place. So the target holds nothing or all of it, whenever the copy is interrupted, and a copy that is begun
//! again goes on where it was: each piece is noted with a digest, and one whose rows are still the same in the source is
//! not sent again.
//!
//! Which tables and columns there are is read from the databases themselves, so that no list here has to follow the
//! migrations. The source is read in one transaction: what is written to it meanwhile is not copied, and a service that runs
//! on it is not disturbed.

mod cells;
mod source;
mod tables;
mod target;

use std::path::Path;

use super::Error;
use cells::Cell;
use source::Source;
use tables::Table;
use target::Target;

/// Rows that are sent at a time.
const CHUNK: usize = 1000;

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Source(String),
    /// The target failed. What was copied so far is kept for the next time.
    #[error("the target failed: {0}")]
    Target(Error),
    /// The two do not fit, or the target is not ours to fill.
    #[error("{0}")]
    Refused(String),
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// So many rows there are to copy.
    Begun {
        /// Of all tables together.
        rows: u64,
    },
    /// Rows of a table are in the target's staging tables.
    Copied {
        /// The table.
        table: &'a str,
        /// So many rows with this step.
        rows: u64,
        /// Whether an earlier, interrupted copy had brought them.
        was_there: bool,
    },
    /// Everything is copied and being put into place.
    Placing,
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Tables.
    pub tables: usize,
    /// Rows of all tables.
    pub rows: u64,
    /// Whether an earlier move had done it all, so that nothing was left to do.
    pub was_done: bool,
}

/// Moves everything from the file of SQLite to the PostgreSQL at a URL.
///
/// # Errors
/// [`MoveError`]; the target is as it was then, but for what was copied beside its tables.
pub async fn move_to_postgres(
    from: &Path,
    to: &str,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Moved, MoveError> {
    let mut source = Source::open(from).await?;
    let mut tables = source.tables().await?;
    let mut target = Target::open(to).await?;
    if let Some(rows) = target.was_moved(source.name()).await? {
        return Ok(Moved { tables: tables.len(), rows, was_done: true });
    }
    target.fit(&mut tables).await?;
    let seeds = source::seeds(&tables).await?;
    target.must_be_fresh(&tables, &seeds).await?;
    target.prepare(source.name(), &tables).await?;
    let mut counts = Vec::with_capacity(tables.len());
    for table in &tables {
        counts.push(source.count(table).await?);
    }
    tell(Progress::Begun { rows: counts.iter().sum() });
    for table in &tables {
        copy(&mut source, &mut target, table, tell).await?;
    }
    tell(Progress::Placing);
    target.place(source.name(), &tables, &seeds, &counts).await?;
    Ok(Moved { tables: tables.len(), rows: counts.iter().sum(), was_done: false })
}

/// Copies a table: first the pieces an earlier copy noted, then the rest.
async fn copy(
    source: &mut Source,
    target: &mut Target,
    table: &Table,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<(), MoveError> {
    let mut after: Option<Vec<Cell>> = None;
    let mut number = 0;
    for noted in target.noted(table).await? {
        let rows = source.rows_between(table, after.as_deref(), &noted.last_key).await?;
        let digest = cells::digest(&rows);
        let was_there = digest == noted.digest;
        if !was_there {
            target.put(table, noted.number, &rows, &noted.last_key, &digest).await?;
        }
        tell(Progress::Copied { table: &table.name, rows: rows.len() as u64, was_there });
        number = noted.number + 1;
        after = Some(noted.last_key);
    }
    loop {
        let rows = source.rows_after(table, after.as_deref(), CHUNK).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        let last_key = table.key_of(last);
        target.put(table, number, &rows, &last_key, &cells::digest(&rows)).await?;
        tell(Progress::Copied { table: &table.name, rows: rows.len() as u64, was_there: false });
        number += 1;
        after = Some(last_key);
    }
}
