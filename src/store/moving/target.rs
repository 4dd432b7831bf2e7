//! The PostgreSQL that is filled.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::cells::{self, Cell};
use super::tables::{Table, quoted};
use super::{Error, MoveError};
use crate::store::{postgres, sql};

/// The target.
pub(super) struct Target {
    connection: PgConnection,
}

/// A piece that an earlier copy brought.
pub(super) struct Noted {
    pub(super) number: i64,
    pub(super) last_key: Vec<Cell>,
    pub(super) digest: Vec<u8>,
}

/// One move at a time: the lock is the connection's, and goes with it.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('countersign move'))";
const HAS_TABLE: &str = "SELECT to_regclass($1) IS NOT NULL";
const COLUMNS: &str = "SELECT column_name::text, data_type::text, \
     is_identity = 'YES' OR COALESCE(column_default LIKE 'nextval(%', FALSE) FROM information_schema.columns \
     WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'";
const IN_USE: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
     AND application_name = 'countersign listener'";
const STAGING: [&str; 3] = [
    "CREATE SCHEMA IF NOT EXISTS countersign_moving",
    "CREATE TABLE IF NOT EXISTS countersign_moving.source (name TEXT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS countersign_moving.chunks (place TEXT, number BIGINT, last_key TEXT NOT NULL, \
     digest BYTEA NOT NULL, PRIMARY KEY (place, number))",
];
const NOTE: &str = "INSERT INTO countersign_moving.chunks (place, number, last_key, digest) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (place, number) DO UPDATE SET last_key = excluded.last_key, digest = excluded.digest";
const NOTED: &str =
    "SELECT number, last_key, digest FROM countersign_moving.chunks WHERE place = $1 ORDER BY number";
const MOVED: &str =
    "CREATE TABLE IF NOT EXISTS _countersign_moved (source TEXT PRIMARY KEY, rows BIGINT NOT NULL)";

fn failed(error: sqlx::Error) -> MoveError {
    MoveError::Target(error.into())
}

fn refused<T>(why: impl Into<String>) -> Result<T, MoveError> {
    Err(MoveError::Refused(why.into()))
}

/// Where a table's rows wait to be put into place.
fn staging(table: &Table) -> String {
    format!("countersign_moving.{}", quoted(&format!("rows_{}", table.name)))
}

impl Target {
    /// Connects, and makes the schema in an empty database.
    pub(super) async fn open(url: &str) -> Result<Self, MoveError> {
        let Ok(options) = url.parse::<PgConnectOptions>() else {
            return refused("the target is no URL of PostgreSQL");
        };
        let mut connection = options.application_name("countersign move").connect().await.map_err(failed)?;
        if !sqlx::query_scalar(LOCK).fetch_one(&mut connection).await.map_err(failed)? {
            return refused("another move into this target is on its way");
        }
        let mut target = Self { connection };
        let newest = postgres::newest_migration();
        let found: Option<i64> = if target.has_table("_countersign_migrations").await? {
            sqlx::query_scalar(sql::SCHEMA_VERSION).fetch_one(&mut target.connection).await.map_err(failed)?
        } else {
            None
        };
        match found {
            Some(found) if found == newest => Ok(target),
            Some(found) => refused(format!(
                "the target's schema is of version {found}, this program's is {newest}: run `countersign migrate` with it \
                 as database_url first, or use an empty database"
            )),
            None => {
                let outcome = postgres::migrator().run_direct(None, &mut target.connection, false).await;
                outcome.map_err(|error| MoveError::Target(Error::Schema(error.to_string())))?;
                Ok(target)
            }
        }
    }

    async fn has_table(&mut self, name: &str) -> Result<bool, MoveError> {
        sqlx::query_scalar(HAS_TABLE).bind(name).fetch_one(&mut self.connection).await.map_err(failed)
    }

    /// How many rows an earlier move of this very source put here, if it came to its end.
    pub(super) async fn was_moved(&mut self, source: &str) -> Result<Option<u64>, MoveError> {
        if !self.has_table("_countersign_moved").await? {
            return Ok(None);
        }
        let statement = "SELECT rows FROM _countersign_moved WHERE source = $1";
        let rows: Option<i64> = sqlx::query_scalar(statement)
            .bind(source)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(failed)?;
        Ok(rows.map(i64::unsigned_abs))
    }

    /// Whether every table and column of the source has its like here; notes the types.
    pub(super) async fn fit(&mut self, tables: &mut [Table]) -> Result<(), MoveError> {
        for table in tables {
            let columns: Vec<(String, String, bool)> = sqlx::query_as(COLUMNS)
                .bind(&table.name)
                .fetch_all(&mut self.connection)
                .await
                .map_err(failed)?;
            if columns.is_empty() {
                return refused(format!(
                    "the source has a table {} that the target does not know",
                    table.name
                ));
            }
            for column in &mut table.columns {
                let like = columns.iter().find(|(name, _, _)| *name == column.name);
                let Some((_, target_type, is_counted)) = like else {
                    return refused(format!("the target has no column {}.{}", table.name, column.name));
                };
                column.is_counted = *is_counted;
                if !column.fits(target_type) {
                    return refused(format!("{}.{} cannot become {target_type}", table.name, column.name));
                }
            }
            if let Some((name, _, _)) =
                columns.iter().find(|(name, _, _)| !table.columns.iter().any(|column| column.name == *name))
            {
                return refused(format!("the source has no column {}.{name}", table.name));
            }
        }
        Ok(())
    }

    /// Refuses a target that holds anything but what the migrations put there, or that a service runs on.
    pub(super) async fn must_be_fresh(
        &mut self,
        tables: &[Table],
        seeds: &[Vec<Vec<Cell>>],
    ) -> Result<(), MoveError> {
        let running: i64 =
            sqlx::query_scalar(IN_USE).fetch_one(&mut self.connection).await.map_err(failed)?;
        if running > 0 {
            return refused("a service runs on the target: stop it first");
        }
        for (table, seeds) in tables.iter().zip(seeds) {
            let statement = AssertSqlSafe(format!("SELECT count(*) FROM {}", quoted(&table.name)));
            let count: i64 =
                sqlx::query_scalar(statement).fetch_one(&mut self.connection).await.map_err(failed)?;
            if count.unsigned_abs() != seeds.len() as u64 || self.count_alike(table, seeds).await? != count {
                return refused(format!(
                    "the target holds data of its own already (table {}): use an empty database",
                    table.name
                ));
            }
        }
        Ok(())
    }

    /// How many rows of a table are among these.
    async fn count_alike(&mut self, table: &Table, rows: &[Vec<Cell>]) -> Result<i64, MoveError> {
        let names = table.columns.iter().map(|column| quoted(&column.name));
        let same = names
            .zip(table.converted())
            .map(|(name, given)| format!("own.{name}::text IS NOT DISTINCT FROM ({given})::text"));
        let same = same.collect::<Vec<_>>().join(" AND ");
        let statement =
            format!("SELECT count(*) FROM {} AS own JOIN {} ON {same}", quoted(&table.name), table.given());
        let query = columns(sqlx::query(AssertSqlSafe(statement)), table, rows);
        let row = query.fetch_one(&mut self.connection).await.map_err(failed)?;
        sqlx::Row::try_get(&row, 0).map_err(failed)
    }

    /// Makes the staging tables, unless an earlier copy of the same source did.
    pub(super) async fn prepare(&mut self, source: &str, tables: &[Table]) -> Result<(), MoveError> {
        let mut act = self.connection.begin().await.map_err(failed)?;
        for statement in STAGING {
            sqlx::query(statement).execute(&mut *act).await.map_err(failed)?;
        }
        let known: Option<String> = sqlx::query_scalar("SELECT name FROM countersign_moving.source")
            .fetch_optional(&mut *act)
            .await
            .map_err(failed)?;
        match known {
            Some(known) if known != source => {
                return refused(format!(
                    "the target holds half of a copy of {known}: move that, or drop the schema countersign_moving"
                ));
            }
            Some(_) => {}
            None => {
                let statement = "INSERT INTO countersign_moving.source (name) VALUES ($1)";
                sqlx::query(statement).bind(source).execute(&mut *act).await.map_err(failed)?;
            }
        }
        for table in tables {
            let place = staging(table);
            let statements = [
                format!(
                    "CREATE TABLE IF NOT EXISTS {place} (LIKE {}, chunk_number BIGINT NOT NULL)",
                    quoted(&table.name)
                ),
                format!(
                    "CREATE INDEX IF NOT EXISTS {} ON {place} (chunk_number)",
                    quoted(&format!("chunks_of_{}", table.name))
                ),
            ];
            for statement in statements {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut *act).await.map_err(failed)?;
            }
        }
        act.commit().await.map_err(failed)
    }

    /// The pieces of a table that an earlier copy brought.
    pub(super) async fn noted(&mut self, table: &Table) -> Result<Vec<Noted>, MoveError> {
        let rows: Vec<(i64, String, Vec<u8>)> =
            sqlx::query_as(NOTED).bind(&table.name).fetch_all(&mut self.connection).await.map_err(failed)?;
        let read = |(number, key, digest): (i64, String, Vec<u8>)| {
            let last_key = serde_json::from_str(&key)
                .map_err(|_| MoveError::Target(Error::Corrupt("a note of an earlier copy".to_owned())))?;
            Ok(Noted { number, last_key, digest })
        };
        rows.into_iter().map(read).collect()
    }

    /// Brings a piece into the staging table, in place of what was there under its number.
    pub(super) async fn put(
        &mut self,
        table: &Table,
        number: i64,
        rows: &[Vec<Cell>],
        last_key: &[Cell],
        digest: &[u8],
    ) -> Result<(), MoveError> {
        let key = serde_json::to_string(last_key)
            .map_err(|_| MoveError::Source("a key that cannot be noted".to_owned()))?;
        let place = staging(table);
        let mut act = self.connection.begin().await.map_err(failed)?;
        let clear = AssertSqlSafe(format!("DELETE FROM {place} WHERE chunk_number = $1"));
        sqlx::query(clear).bind(number).execute(&mut *act).await.map_err(failed)?;
        let statement = format!(
            "INSERT INTO {place} ({}, chunk_number) SELECT {}, {number} FROM {}",
            table.column_list(),
            table.converted().join(", "),
            table.given()
        );
        // The number stands in the text: kept as a prepared statement, each piece would leave one behind.
        let query = columns(sqlx::query(AssertSqlSafe(statement)).persistent(false), table, rows);
        query.execute(&mut *act).await.map_err(failed)?;
        let note = sqlx::query(NOTE).bind(&table.name).bind(number).bind(key).bind(digest);
        note.execute(&mut *act).await.map_err(failed)?;
        act.commit().await.map_err(failed)
    }

    /// Puts everything into place in one transaction, or nothing.
    pub(super) async fn place(
        &mut self,
        source: &str,
        tables: &[Table],
        seeds: &[Vec<Vec<Cell>>],
        counts: &[u64],
    ) -> Result<(), MoveError> {
        run(&mut self.connection, "BEGIN").await?;
        let outcome = self.place_within(source, tables, seeds, counts).await;
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        run(&mut self.connection, end).await.and(outcome)
    }

    async fn place_within(
        &mut self,
        source: &str,
        tables: &[Table],
        seeds: &[Vec<Vec<Cell>>],
        counts: &[u64],
    ) -> Result<(), MoveError> {
        let names: Vec<String> = tables.iter().map(|table| quoted(&table.name)).collect();
        run(&mut self.connection, format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", ")))
            .await?;
        // From here on nobody else can write: what is fresh now stays so.
        self.must_be_fresh(tables, seeds).await?;
        for (table, seeds) in tables.iter().zip(seeds).rev() {
            if !seeds.is_empty() {
                run(&mut self.connection, format!("DELETE FROM {}", quoted(&table.name))).await?;
            }
        }
        for (table, count) in tables.iter().zip(counts) {
            self.place_table(table, *count).await?;
        }
        run(&mut self.connection, MOVED).await?;
        let total = i64::try_from(counts.iter().sum::<u64>()).unwrap_or(i64::MAX);
        let note = sqlx::query("INSERT INTO _countersign_moved (source, rows) VALUES ($1, $2)");
        note.bind(source).bind(total).execute(&mut self.connection).await.map_err(failed)?;
        run(&mut self.connection, "DROP SCHEMA countersign_moving CASCADE").await.map(drop)
    }

    async fn place_table(&mut self, table: &Table, count: u64) -> Result<(), MoveError> {
        let (name, list) = (quoted(&table.name), table.column_list());
        let overriding = if table.columns.iter().any(|column| column.is_counted) {
            " OVERRIDING SYSTEM VALUE"
        } else {
            ""
        };
        let statement =
            format!("INSERT INTO {name} ({list}){overriding} SELECT {list} FROM {}", staging(table));
        let placed = run(&mut self.connection, statement).await?;
        if placed != count {
            let why = format!("{placed} rows of {} arrived, and {count} were sent", table.name);
            return Err(MoveError::Target(Error::Corrupt(why)));
        }
        for column in table.columns.iter().filter(|column| column.is_counted) {
            let (label, column) = (column.name.replace('\'', "''"), quoted(&column.name));
            let statement = format!(
                "SELECT setval(pg_get_serial_sequence('{}', '{label}'), COALESCE(max({column}), 0) + 1, FALSE) FROM {name}",
                name.replace('\'', "''")
            );
            run(&mut self.connection, statement).await?;
        }
        Ok(())
    }
}

/// Binds rows as one array per column.
fn columns<'q>(
    query: sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    table: &Table,
    rows: &[Vec<Cell>],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    table
        .columns
        .iter()
        .enumerate()
        .fold(query, |query, (at, column)| cells::bind_column(query, column.kind, rows, at))
}

/// Executes a statement made of the tables' own names. How many rows it touched.
async fn run(connection: &mut PgConnection, statement: impl Into<String>) -> Result<u64, MoveError> {
    let query = sqlx::raw_sql(AssertSqlSafe(statement.into()));
    Ok(query.execute(connection).await.map_err(failed)?.rows_affected())
}
