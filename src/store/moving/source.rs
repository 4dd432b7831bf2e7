//! The embedded database that is moved.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};

use super::cells::{self, Cell};
use super::tables::{self, Table, quoted};
use super::{Error, MoveError};
use crate::store::{file, sql};

/// The source, read as it was at one moment.
pub(super) struct Source {
    connection: SqliteConnection,
    name: String,
}

fn failed(error: sqlx::Error) -> MoveError {
    MoveError::Source(Error::from(error).to_string())
}

impl Source {
    /// Opens the file and holds it as it is now; others may go on writing.
    pub(super) async fn open(path: &Path) -> Result<Self, MoveError> {
        let unusable =
            |error: &dyn std::fmt::Display| MoveError::Source(format!("{}: {error}", path.display()));
        let name = std::fs::canonicalize(path).map_err(|error| unusable(&error))?.display().to_string();
        let options =
            SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
        let mut connection = options.connect().await.map_err(|error| unusable(&error))?;
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(failed)?;
        // The first look fixes the moment.
        let version: Option<i64> = sqlx::query_scalar(sql::SCHEMA_VERSION)
            .fetch_one(&mut connection)
            .await
            .map_err(|_| unusable(&"this is no database of countersign"))?;
        let newest = file::newest_migration();
        match version {
            Some(version) if version == newest => Ok(Self { connection, name }),
            found => Err(MoveError::Refused(format!(
                "the source's schema is of version {}, this program's is {newest}: start this version on it, or run \
                 `countersign migrate` with it as database_url, and then move",
                found.unwrap_or_default()
            ))),
        }
    }

    /// What the target remembers it by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its tables, parents first.
    pub(super) async fn tables(&mut self) -> Result<Vec<Table>, MoveError> {
        tables::read(&mut self.connection).await
    }

    /// The rows of a table.
    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, MoveError> {
        let statement = AssertSqlSafe(format!("SELECT count(*) FROM {}", quoted(&table.name)));
        let count: i64 =
            sqlx::query_scalar(statement).fetch_one(&mut self.connection).await.map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// Up to `limit` rows after a key.
    pub(super) async fn rows_after(
        &mut self,
        table: &Table,
        after: Option<&[Cell]>,
        limit: usize,
    ) -> Result<Vec<Vec<Cell>>, MoveError> {
        let statement = format!("{} LIMIT {limit}", table.select(after.is_some(), false));
        self.rows(table, statement, after.unwrap_or_default()).await
    }

    /// The rows after one key, up to another.
    pub(super) async fn rows_between(
        &mut self,
        table: &Table,
        after: Option<&[Cell]>,
        last: &[Cell],
    ) -> Result<Vec<Vec<Cell>>, MoveError> {
        let bounds = [after.unwrap_or_default(), last].concat();
        self.rows(table, table.select(after.is_some(), true), &bounds).await
    }

    async fn rows(
        &mut self,
        table: &Table,
        statement: String,
        bounds: &[Cell],
    ) -> Result<Vec<Vec<Cell>>, MoveError> {
        let query = bounds.iter().fold(sqlx::query(AssertSqlSafe(statement)), cells::bind);
        let rows: Vec<SqliteRow> = query.fetch_all(&mut self.connection).await.map_err(failed)?;
        rows.iter().map(|row| cells::read(table, row)).collect()
    }
}

/// The rows that the migrations themselves put into each of these tables: a database that holds just them is fresh.
pub(super) async fn seeds(tables: &[Table]) -> Result<Vec<Vec<Vec<Cell>>>, MoveError> {
    let options = SqliteConnectOptions::new().in_memory(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
    file::migrate(&pool).await.map_err(|error| MoveError::Source(error.to_string()))?;
    let mut seeds = Vec::with_capacity(tables.len());
    for table in tables {
        let statement = AssertSqlSafe(table.select(false, false));
        // A table that the migrations do not make is none of ours; the target says so.
        let rows: Vec<SqliteRow> = sqlx::query(statement).fetch_all(&pool).await.unwrap_or_default();
        seeds.push(rows.iter().map(|row| cells::read(table, row)).collect::<Result<_, _>>()?);
    }
    pool.close().await;
    Ok(seeds)
}
