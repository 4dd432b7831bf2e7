//! Values on their way from one database to the other.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Postgres, Row as _, Sqlite};

use super::MoveError;
use super::tables::{Column, Kind, Table};

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// Reads a row of a table.
pub(super) fn read(table: &Table, row: &SqliteRow) -> Result<Vec<Cell>, MoveError> {
    table.columns.iter().enumerate().map(|(at, column)| cell(table, column, row, at)).collect()
}

fn cell(table: &Table, column: &Column, row: &SqliteRow, at: usize) -> Result<Cell, MoveError> {
    let value = match column.kind {
        Kind::Integer => row.try_get::<Option<i64>, _>(at).map(|value| value.map(Cell::Integer)),
        Kind::Real => row.try_get::<Option<f64>, _>(at).map(|value| value.map(Cell::Real)),
        Kind::Text => row.try_get::<Option<String>, _>(at).map(|value| value.map(Cell::Text)),
        Kind::Blob => row.try_get::<Option<Vec<u8>>, _>(at).map(|value| value.map(Cell::Blob)),
    };
    let unreadable = |_| {
        let what = format!("a value of {}.{} is of another type than its column", table.name, column.name);
        MoveError::Source(what)
    };
    match value.map_err(unreadable)? {
        // PostgreSQL has no such text, and a text that loses a part is another.
        Some(Cell::Text(text)) if text.contains('\0') => Err(MoveError::Refused(format!(
            "a text of {}.{} holds a NUL, which PostgreSQL cannot hold",
            table.name, column.name
        ))),
        Some(cell) => Ok(cell),
        None => Ok(Cell::Null),
    }
}

/// Binds a value for SQLite.
pub(super) fn bind<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    cell: &Cell,
) -> Query<'q, Sqlite, SqliteArguments> {
    match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Integer(value) => query.bind(*value),
        Cell::Real(value) => query.bind(*value),
        Cell::Text(value) => query.bind(value.clone()),
        Cell::Blob(value) => query.bind(value.clone()),
    }
}

/// Binds a column of rows as one array for PostgreSQL.
pub(super) fn bind_column<'q>(
    query: Query<'q, Postgres, PgArguments>,
    kind: Kind,
    rows: &[Vec<Cell>],
    at: usize,
) -> Query<'q, Postgres, PgArguments> {
    let cells = rows.iter().filter_map(|row| row.get(at));
    match kind {
        Kind::Integer => query.bind(
            cells
                .map(|cell| if let Cell::Integer(value) = cell { Some(*value) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Real => query.bind(
            cells
                .map(|cell| if let Cell::Real(value) = cell { Some(*value) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Text => query.bind(
            cells
                .map(|cell| if let Cell::Text(value) = cell { Some(value.clone()) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Blob => query.bind(
            cells
                .map(|cell| if let Cell::Blob(value) = cell { Some(value.clone()) } else { None })
                .collect::<Vec<_>>(),
        ),
    }
}

/// What rows are recognised by: every value with its kind and length, so that no two lists of rows are written alike.
pub(super) fn digest(rows: &[Vec<Cell>]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for cell in rows.iter().flatten() {
        let (kind, bytes): (u8, &[u8]) = match cell {
            Cell::Null => (0, &[]),
            Cell::Integer(value) => (1, &value.to_be_bytes()),
            Cell::Real(value) => (2, &value.to_be_bytes()),
            Cell::Text(value) => (3, value.as_bytes()),
            Cell::Blob(value) => (4, value),
        };
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_differ_have_different_digests() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let rows = [
            vec![],
            vec![vec![Cell::Null]],
            vec![vec![text("")]],
            vec![vec![Cell::Blob(vec![])]],
            vec![vec![text("ab"), text("c")]],
            vec![vec![text("a"), text("bc")]],
            vec![vec![Cell::Integer(1)]],
            vec![vec![Cell::Real(1.0)]],
        ];
        let digests: std::collections::HashSet<Vec<u8>> = rows.iter().map(|rows| digest(rows)).collect();
        assert_eq!(digests.len(), rows.len());
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        let key = vec![Cell::Integer(i64::MAX), Cell::Text("é\"".to_owned()), Cell::Blob(vec![0, 255])];
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Cell>>(&text).unwrap(), key);
    }
}
