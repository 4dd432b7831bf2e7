//! Every row of every table arrives as it was, whatever it holds; the bar shows how far it is; and the log of what happened is
//! whole on the other side.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rocket::tokio::runtime::Runtime;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use tempfile::TempDir;

use crate::hurt::left_out;
use crate::postgres;
use crate::service::{CHEAP, SECRET, Service, cookies, csrf, run, said, sign_in};

/// Rows that are put into each table.
const MANY: usize = 3;

/// What only the service itself writes as it must be.
const CHAINED: [&str; 3] = ["audit_records", "audit_chain", "counters"];

/// The rows of each table, each as one text.
type Rows = BTreeMap<String, Vec<String>>;

struct Source {
    runtime: Runtime,
    connection: sqlx::SqliteConnection,
}

impl Source {
    fn open(file: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let connection = runtime.block_on(options.connect()).unwrap();
        Self { runtime, connection }
    }

    fn rows(&mut self, query: &str) -> Vec<sqlx::sqlite::SqliteRow> {
        let query = sqlx::query(AssertSqlSafe(query.to_owned()));
        self.runtime.block_on(query.fetch_all(&mut self.connection)).unwrap()
    }

    fn column(&mut self, query: &str) -> Vec<String> {
        self.rows(query).iter().map(|row| row.get(0)).collect()
    }

    fn tables(&mut self) -> Vec<String> {
        self.column(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 1) <> '_' \
             AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
    }

    /// Fills a table with what is hard to copy: quotes, line ends, other scripts, bytes of every value, numbers at their ends,
    /// empty texts, and nothing at all wherever that is allowed.
    fn fill(&mut self, table: &str) {
        let columns = format!("SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')");
        let columns: Vec<(String, String, bool, i64)> = self
            .rows(&columns)
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get::<i64, _>(2) != 0, row.get(3)))
            .collect();
        let bytes = (0..=255).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        for number in 0..MANY {
            let values = columns.iter().map(|(name, kind, is_needed, _)| match (name.as_str(), kind.as_str()) {
                ("user_id", _) => format!("(SELECT id FROM users ORDER BY id LIMIT 1 OFFSET {number})"),
                _ if number == 0 && !is_needed => "NULL".to_owned(),
                (_, "INTEGER") => ["-9223372036854775807", "9223372036854775806", "0"]
                    .get(number)
                    .map(|value| (*value).to_owned())
                    .unwrap(),
                (_, "BLOB") => format!("x'{bytes}{number:02x}'"),
                _ => format!("'{name} {number}: '' \" \\ \\N \\. \t' || char(10, 13, 9, 8, 0x1f980, 0xe9, 0x202e, 0xffff)"),
            });
            let values: Vec<String> = values.collect();
            let insert = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
            let insert = sqlx::raw_sql(AssertSqlSafe(insert));
            self.runtime.block_on(insert.execute(&mut self.connection)).unwrap();
        }
    }

    fn everything(&mut self) -> Rows {
        let mut all = Rows::new();
        for table in self.tables() {
            let columns = self.column(&format!(
                "SELECT '''' || name || '='' || CASE typeof(' || name || ') WHEN ''null'' THEN ''nothing'' WHEN ''blob'' \
                 THEN ''\\x'' || lower(hex(' || name || ')) ELSE CAST(' || name || ' AS TEXT) END' \
                 FROM pragma_table_info('{table}') ORDER BY name"
            ));
            let mut rows = self.column(&format!("SELECT {} FROM {table}", columns.join(" || '; ' || ")));
            rows.sort_unstable();
            all.insert(table, rows);
        }
        all
    }
}

/// The same of the target.
fn everything(url: &str, tables: impl Iterator<Item = String>) -> Rows {
    Runtime::new().unwrap().block_on(async {
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        let mut all = Rows::new();
        for table in tables {
            let columns = format!(
                "SELECT string_agg(quote_literal(column_name || '=') || ' || coalesce(' || column_name || '::text, ''nothing'')', \
                 ' || ''; '' || ' ORDER BY column_name COLLATE \"C\") FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}'"
            );
            let columns: String = sqlx::query_scalar(AssertSqlSafe(columns)).fetch_one(&mut connection).await.unwrap();
            let rows = format!("SELECT {columns} FROM {table}");
            let mut rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
            rows.sort_unstable();
            all.insert(table, rows);
        }
        all
    })
}

/// Runs a move on a terminal, as somebody who watches it.
fn move_on_a_terminal(folder: &Path, from: &str, to: &str) -> Option<String> {
    let line = format!("'{}' migrate --from '{from}' --to '{to}'", env!("CARGO_BIN_EXE_countersign"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder);
    script.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("COLUMNS", "120");
    let output = script.stdin(std::process::Stdio::null()).output().ok()?;
    assert!(output.status.success(), "{}", said(&output));
    Some(said(&output))
}

#[test]
fn every_row_of_every_table_arrives_as_it_was() {
    let Some(to) = Runtime::new().unwrap().block_on(postgres::fresh_database()) else { return };
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("data/countersign.db");
    let from = format!("sqlite://{}", file.display());
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(CHEAP);
    let mut service = Service::start(folder.path(), &variables);
    let session = sign_in(&service);
    let first = service.get("/api/auth/csrf", "");
    let out = format!("csrfToken={}&json=true", csrf(&first));
    service.post("/api/auth/signout", &format!("{}; {session}", cookies(&first)), &out);
    assert!(service.signal("TERM").success());

    let mut source = Source::open(&file);
    // Those that others refer to come first.
    source.fill("users");
    for table in source.tables() {
        if table != "users" && !CHAINED.contains(&table.as_str()) {
            source.fill(&table);
        }
    }
    let before = source.everything();
    let total: usize = before.values().map(Vec::len).sum();
    assert!(before.len() >= 13 && before.values().all(|rows| !rows.is_empty()), "the control: {before:?}");

    let Some(shown) = move_on_a_terminal(folder.path(), &from, &to) else {
        return left_out("`script` is not installed: install Debian's package `bsdutils`");
    };
    // Two moments of the bar, and what is left when it is gone.
    assert!(shown.contains(&format!("/{total} rows, ")) && shown.contains("putting into place"), "{shown}");
    assert!(shown.contains(&format!("Moved {total} rows of {} tables.", before.len())), "{shown}");
    let after = everything(&to, before.keys().cloned());
    for (table, rows) in &before {
        assert_eq!(Some(rows), after.get(table), "{table}");
    }

    let verify = |variables: &[(&str, &str)]| {
        let output = run(folder.path(), &["audit", "verify"], variables);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let there = verify(&variables);
    assert!(there.contains("is whole: ") && !there.contains(" 0 records"), "{there}");
    variables.push(("COUNTERSIGN_DATABASE_URL", &to));
    assert_eq!(verify(&variables), there, "the same chain, to its last hash");
}
