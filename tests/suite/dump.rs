//! What a database holds, as text: two of them are equal, or something happened in between.

use countersign::store::Database;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row as _};

use crate::app::App;
use crate::database;

/// Looks into the database past the store.
pub(crate) enum Dump {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Dump {
    pub(crate) async fn of(app: &App) -> Self {
        match database::of_folder(app.folder.path()).await {
            Database::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
                Self::Sqlite(SqlitePool::connect_with(options).await.unwrap())
            }
            Database::Postgres(url) => Self::Postgres(PgPool::connect(&url).await.unwrap()),
        }
    }

    /// Every row of every table but the attempts, which are taken back a moment later, and the audit log, which
    /// tells of what did not happen, too.
    pub(crate) async fn state(&self) -> String {
        let mut state = String::new();
        for table in self.tables().await {
            if table != "attempts" && !table.starts_with("audit") {
                state += &self.rows(&table, "").await;
            }
        }
        state
    }

    /// The attempts that are counted.
    pub(crate) async fn attempts(&self) -> String {
        self.rows("attempts", "WHERE count > 0").await
    }

    /// The rows of one table.
    pub(crate) async fn rows_of(&self, table: &str) -> String {
        self.rows(table, "").await
    }

    /// Every row of every table.
    pub(crate) async fn everything(&self) -> String {
        let mut everything = String::new();
        for table in self.tables().await {
            everything += &self.rows(&table, "").await;
        }
        everything
    }

    /// Changes something past the store.
    pub(crate) async fn execute(&self, statement: &str) {
        self.try_execute(statement).await.unwrap();
    }

    async fn try_execute(&self, statement: &str) -> Result<(), sqlx::Error> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match self {
            Self::Sqlite(pool) => statement.execute(pool).await.map(drop),
            Self::Postgres(pool) => statement.execute(pool).await.map(drop),
        }
    }

    /// The first column of what a query finds.
    async fn column(&self, query: &str) -> Vec<String> {
        let query = AssertSqlSafe(query.to_owned());
        match self {
            Self::Sqlite(pool) => {
                let rows = sqlx::query(query).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(pool) => {
                let rows = sqlx::query(query).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Whatever is kept to open something: keys of rows, hashes, what is sealed, public keys of passkeys.
    pub(crate) async fn secrets(&self) -> Vec<String> {
        let hex = |column: &str, table: &str| match self {
            Self::Sqlite(_) => format!("SELECT lower(hex({column})) FROM {table}"),
            Self::Postgres(_) => format!("SELECT encode({column}, 'hex') FROM {table}"),
        };
        let kept = [
            hex("id", "sessions"),
            hex("id", "access_tokens"),
            hex("code", "recovery_codes"),
            hex("id", "passkeys"),
            "SELECT credential FROM passkeys".to_owned(),
            "SELECT password_hash FROM users WHERE password_hash IS NOT NULL".to_owned(),
            "SELECT tokens FROM accounts WHERE tokens IS NOT NULL".to_owned(),
        ];
        self.column(&kept.join(" UNION ALL ")).await
    }

    /// Lets every column of SQLite hold values of any type, as a file may that another program has written to. Rows get a
    /// number where they have none.
    pub(crate) async fn allow_anything(&self) {
        match self {
            Self::Sqlite(_) => {
                self.execute(
                    "PRAGMA writable_schema = ON; \
                     UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE type = 'table'; \
                     PRAGMA schema_version = 4711; PRAGMA writable_schema = RESET",
                )
                .await;
            }
            Self::Postgres(_) => {
                for table in self.tables().await.iter().filter(|table| !table.starts_with('_')) {
                    self.execute(&format!("ALTER TABLE {table} ADD COLUMN rowid BIGSERIAL")).await;
                }
            }
        }
    }

    /// Sets a column of every row to what it never holds. How many rows there are; none where the database itself refuses
    /// such a value.
    pub(crate) async fn damage(&self, table: &str, column: &str, value: &str) -> usize {
        self.execute(&format!(
            "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT rowid AS number, {column} AS value FROM {table}"
        ))
        .await;
        match self.try_execute(&format!("UPDATE {table} SET {column} = {value}")).await {
            Ok(()) => self.column("SELECT CAST(number AS TEXT) FROM kept").await.len(),
            Err(_) => 0,
        }
    }

    /// Sets it back, wherever the row is still there.
    pub(crate) async fn repair(&self, table: &str, column: &str) {
        self.execute(&format!(
            "UPDATE {table} SET {column} = (SELECT value FROM kept WHERE number = {table}.rowid) \
             WHERE rowid IN (SELECT number FROM kept); DROP TABLE kept"
        ))
        .await;
    }

    /// The names and types of a table's columns, but for the number of the row itself.
    pub(crate) async fn columns(&self, table: &str) -> Vec<(String, String)> {
        match self {
            Self::Sqlite(pool) => {
                let columns =
                    "SELECT name, type FROM pragma_table_info($1) WHERE NOT (pk AND type = 'INTEGER')";
                sqlx::query_as(columns).bind(table).fetch_all(pool).await.unwrap()
            }
            Self::Postgres(pool) => {
                let columns = "SELECT column_name::text, upper(data_type::text) FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND table_name = $1 AND column_name <> 'rowid'";
                sqlx::query_as(columns).bind(table).fetch_all(pool).await.unwrap()
            }
        }
    }

    /// The names of all tables of the application.
    async fn tables(&self) -> Vec<String> {
        self.column(match self {
            Self::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            }
            Self::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
            }
        })
        .await
    }

    async fn rows(&self, table: &str, condition: &str) -> String {
        let text = match self {
            Self::Sqlite(pool) => {
                let columns: Vec<String> =
                    sqlx::query_scalar("SELECT 'quote(' || name || ')' FROM pragma_table_info($1)")
                        .bind(table)
                        .fetch_all(pool)
                        .await
                        .unwrap();
                columns.join(" || ' ' || ")
            }
            Self::Postgres(_) => format!("{table}::text"),
        };
        let lines =
            self.column(&format!("SELECT {text} AS line FROM {table} {condition} ORDER BY line")).await;
        format!("{table}:\n{}\n", lines.join("\n"))
    }
}

/// Everything that is kept of an application, byte by byte: its files, or its rows.
pub(crate) async fn kept(app: &App) -> Vec<u8> {
    if database::is_postgresql() {
        return Dump::of(app).await.everything().await.into_bytes();
    }
    let files = std::fs::read_dir(app.folder.path()).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// The lines that are in one of two dumps only.
pub(crate) fn difference(before: &str, after: &str) -> Vec<String> {
    let only = |mark: &str, these: &str, those: &str| {
        let known: std::collections::HashSet<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !known.contains(line));
        lines.map(|line| format!("{mark} {line}")).collect::<Vec<_>>()
    };
    [only("-", before, after), only("+", after, before)].concat()
}
