//! Migrations, and what a damaged or foreign database answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use countersign::store::{Database, Error};
use sqlx::Executor as _;

use crate::{Fresh, on_both, user};

on_both!(
    every_statement_can_be_prepared,
    migrating_twice_is_nothing,
    a_newer_schema_is_refused,
    a_corrupt_row_is_an_error
);

/// Executes a statement past the store.
pub(crate) async fn execute(fresh: &Fresh, statement: &'static str) {
    match &fresh.options.database {
        Database::Sqlite(path) => {
            let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
            pool.execute(statement).await.unwrap();
            pool.close().await;
        }
        Database::Postgres(url) => {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            pool.execute(statement).await.unwrap();
            pool.close().await;
        }
    }
}

async fn every_statement_can_be_prepared(fresh: &Fresh) {
    fresh.store.prepare_all().await.unwrap();
}

async fn migrating_twice_is_nothing(fresh: &Fresh) {
    fresh.store.migrate().await.unwrap();
    fresh.store.check_schema().await.unwrap();
    fresh.store.ping().await.unwrap();
}

async fn a_newer_schema_is_refused(fresh: &Fresh) {
    execute(
        fresh,
        "INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'later', success, checksum, 0 FROM _countersign_migrations WHERE version = 1",
    )
    .await;
    for outcome in [fresh.store.migrate().await, fresh.store.check_schema().await] {
        let Err(Error::Schema(text)) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(text.contains("newer version of countersign") && text.contains("9999"), "{text}");
    }
}

async fn a_corrupt_row_is_an_error(fresh: &Fresh) {
    let id = user(&*fresh.store, "ada@example.com").await;
    execute(fresh, "UPDATE users SET email = 'no address'").await;
    let outcome = fresh.store.find_user(&id).await;
    assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_empty_database_says_to_migrate_and_two_may_do_so_at_once() {
    for kind in ["sqlite", "postgres"] {
        let Some(fresh) = crate::empty(kind).await else {
            continue;
        };
        let Err(Error::Schema(text)) = fresh.store.check_schema().await else {
            panic!("{kind}");
        };
        assert!(text.contains("countersign migrate"), "{text}");
        let (one, two) = (Arc::clone(&fresh.store), countersign::store::open(&fresh.options).await.unwrap());
        let (one, two) = tokio::join!(one.migrate(), two.migrate());
        assert!(one.is_ok() && two.is_ok(), "{kind}: {one:?} {two:?}");
        fresh.store.check_schema().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_one_sentence_without_a_password() {
    let folder = tempfile::TempDir::new().unwrap();
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, "this is no database, whatever its name says").unwrap();
    for path in [folder.path().join("missing/test.db"), damaged] {
        let outcome = countersign::store::open(&crate::options(Database::Sqlite(path.clone()))).await;
        let text = outcome.err().unwrap().to_string();
        assert!(text.contains(&path.display().to_string()) && !text.contains('\n'), "{text}");
    }
    let url = "postgres://somebody:hunter2hunter2@127.0.0.1:1/none".to_owned();
    let text =
        countersign::store::open(&crate::options(Database::Postgres(url))).await.err().unwrap().to_string();
    assert!(text.contains("127.0.0.1:1/none") && !text.contains("hunter2"), "{text}");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(names("sqlite").len() >= 4);
}
