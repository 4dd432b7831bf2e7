//! What a database holds, as text: two of them are equal, or something happened in between.

use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::app::App;

/// Looks into the database past the store.
pub(crate) struct Dump(SqlitePool);

impl Dump {
    pub(crate) async fn of(app: &App) -> Self {
        let options =
            SqliteConnectOptions::new().filename(app.folder.path().join("test.db")).foreign_keys(false);
        Self(SqlitePool::connect_with(options).await.unwrap())
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

    /// Changes something past the store.
    pub(crate) async fn execute(&self, statement: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&self.0).await.unwrap();
    }

    /// Whatever is kept to open something: keys of rows, hashes, what is sealed, public keys of passkeys.
    pub(crate) async fn secrets(&self) -> Vec<String> {
        const KEPT: &str = "SELECT lower(hex(id)) FROM sessions UNION ALL SELECT lower(hex(id)) FROM access_tokens \
             UNION ALL SELECT lower(hex(code)) FROM recovery_codes UNION ALL SELECT lower(hex(id)) FROM passkeys \
             UNION ALL SELECT credential FROM passkeys UNION ALL SELECT password_hash FROM users \
             WHERE password_hash IS NOT NULL UNION ALL SELECT tokens FROM accounts WHERE tokens IS NOT NULL";
        sqlx::query_scalar(KEPT).fetch_all(&self.0).await.unwrap()
    }

    /// Lets every column hold values of any type, as a file may that another program has written to.
    pub(crate) async fn allow_anything(&self) {
        self.execute(
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE type = 'table'; \
             PRAGMA schema_version = 4711; PRAGMA writable_schema = RESET",
        )
        .await;
    }

    /// Sets a column of every row to what it never holds. How many rows there are.
    pub(crate) async fn damage(&self, table: &str, column: &str, value: &str) -> i64 {
        self.execute(&format!(
            "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT rowid AS row, {column} AS value FROM {table}; \
             UPDATE OR IGNORE {table} SET {column} = {value}"
        ))
        .await;
        sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&self.0).await.unwrap()
    }

    /// Sets it back, wherever the row is still there.
    pub(crate) async fn repair(&self, table: &str, column: &str) {
        self.execute(&format!(
            "UPDATE {table} SET {column} = (SELECT value FROM kept WHERE row = {table}.rowid) \
             WHERE rowid IN (SELECT row FROM kept); DROP TABLE kept"
        ))
        .await;
    }

    /// The names and types of a table's columns, but for the number of the row itself.
    pub(crate) async fn columns(&self, table: &str) -> Vec<(String, String)> {
        let columns = "SELECT name, type FROM pragma_table_info($1) WHERE NOT (pk AND type = 'INTEGER')";
        sqlx::query_as(columns).bind(table).fetch_all(&self.0).await.unwrap()
    }

    /// The names of all tables of the application.
    async fn tables(&self) -> Vec<String> {
        let names =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        sqlx::query_scalar(names).fetch_all(&self.0).await.unwrap()
    }

    async fn rows(&self, table: &str, condition: &str) -> String {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT 'quote(' || name || ')' FROM pragma_table_info($1)")
                .bind(table)
                .fetch_all(&self.0)
                .await
                .unwrap();
        let text = columns.join(" || ' ' || ");
        let query = format!("SELECT {text} AS line FROM {table} {condition} ORDER BY line");
        let lines = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&self.0).await.unwrap();
        let lines = lines.iter().map(|row| row.get::<String, _>("line"));
        format!("{table}:\n{}\n", lines.collect::<Vec<_>>().join("\n"))
    }
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
