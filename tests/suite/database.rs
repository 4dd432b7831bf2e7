//! The database under an application: a file of SQLite, or with `SUITE_DATABASE=postgresql` a database of a throwaway
//! PostgreSQL. What holds on one must hold on the other, so the whole suite runs on each.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::store::{self, Database, OpenOptions, Store};
use rocket::tokio;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;

use crate::postgres;

/// The server, and a database with today's schema that the others are copied from.
static TEMPLATE: OnceCell<(String, String)> = OnceCell::const_new();
/// The databases that were made, by the folder of whoever uses them.
static MADE: Mutex<Vec<(PathBuf, String)>> = Mutex::new(Vec::new());

/// Whether the applications of this run have a PostgreSQL beneath them.
pub(crate) fn is_postgresql() -> bool {
    std::env::var("SUITE_DATABASE").is_ok_and(|name| name == "postgresql")
}

/// The database that belongs to a folder, made if there is none yet.
pub(crate) async fn of_folder(folder: &Path) -> Database {
    if !is_postgresql() {
        return Database::Sqlite(folder.join("test.db"));
    }
    let name = folder.file_name().unwrap().to_string_lossy().to_lowercase().replace(['.', '-'], "");
    let name = format!("suite_{}_{name}", std::process::id());
    let (server, template) = TEMPLATE.get_or_init(make_template).await;
    let url = format!("{server}/{name}");
    let is_new = !MADE.lock().unwrap().iter().any(|(_, made)| *made == name);
    if is_new {
        MADE.lock().unwrap().push((folder.to_path_buf(), name.clone()));
        let mut connection = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
        for left in left_behind() {
            let drop = format!("DROP DATABASE IF EXISTS {left} WITH (FORCE)");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
        }
        let create = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    Database::Postgres(url)
}

/// Databases whose folders are gone, and nobody's any more.
fn left_behind() -> Vec<String> {
    let mut made = MADE.lock().unwrap();
    let left = made.extract_if(.., |(folder, _)| !folder.exists());
    left.map(|(_, name)| name).collect()
}

async fn make_template() -> (String, String) {
    let url = postgres::fresh_database().await;
    assert!(url.is_some(), "this run of the suite needs PostgreSQL");
    let url = url.unwrap_or_default();
    let options = OpenOptions {
        database: Database::Postgres(url.clone()),
        max_connections: 1,
        timeout: Duration::from_mins(1),
    };
    let store = store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let (server, name) = url.rsplit_once('/').unwrap();
    (server.to_owned(), name.to_owned())
}

/// Opens the database of a folder.
pub(crate) async fn open(folder: &Path) -> Arc<dyn Store> {
    let options = OpenOptions {
        database: of_folder(folder).await,
        max_connections: 4,
        // However slow this machine is: what a call meets that takes too long is the business of `faults`.
        timeout: Duration::from_mins(1),
    };
    store::open(&options).await.unwrap()
}
