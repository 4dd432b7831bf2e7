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
    one_step_that_only_expands_is_lived_with,
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

/// While instances are replaced one by one, those of the version before meet the next version's schema.
async fn one_step_that_only_expands_is_lived_with(fresh: &Fresh) {
    execute(
        fresh,
        "INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
         SELECT 9998, 'expand by notes', success, checksum, 0 FROM _countersign_migrations WHERE version = 1",
    )
    .await;
    execute(fresh, "CREATE TABLE later_notes (id BIGINT PRIMARY KEY NOT NULL)").await;
    execute(fresh, "ALTER TABLE users ADD COLUMN later_nickname TEXT").await;
    fresh.store.migrate().await.unwrap();
    fresh.store.check_schema().await.unwrap();
    let id = user(&*fresh.store, "ada@example.com").await;
    assert_eq!(fresh.store.find_user(&id).await.unwrap().unwrap().email.as_str(), "ada@example.com");
    // Two steps are one too many, whatever they say of themselves.
    execute(
        fresh,
        "INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'expand further', success, checksum, 0 FROM _countersign_migrations WHERE version = 1",
    )
    .await;
    for outcome in [fresh.store.migrate().await, fresh.store.check_schema().await] {
        assert!(matches!(outcome, Err(Error::Schema(_))), "{outcome:?}");
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

/// What a step may do that calls itself an expansion; docs/operations.md says the same to people.
fn only_expands(sql: &str) -> bool {
    let code: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join(" ").to_uppercase();
    let mut statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements.all(|statement| {
        let adds_column = statement.starts_with("ALTER TABLE")
            && statement.contains(" ADD COLUMN ")
            && (!statement.contains("NOT NULL") || statement.contains(" DEFAULT "));
        let is_new = ["CREATE TABLE ", "CREATE INDEX "].iter().any(|word| statement.starts_with(word));
        is_new || adds_column
    })
}

#[test]
fn a_step_that_calls_itself_an_expansion_is_one() {
    assert!(only_expands("-- DROP\nCREATE TABLE a (b TEXT NOT NULL);\nALTER TABLE c ADD COLUMN d TEXT;"));
    assert!(only_expands("ALTER TABLE c ADD COLUMN d TEXT NOT NULL DEFAULT '';"));
    for sql in [
        "ALTER TABLE c ADD COLUMN d TEXT NOT NULL;",
        "DROP TABLE a;",
        "UPDATE a SET b = 1;",
        "CREATE UNIQUE INDEX a ON b (c);",
    ] {
        assert!(!only_expands(sql), "{sql}");
    }
    for folder in ["sqlite", "postgres"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().contains("_expand_") {
                assert!(only_expands(&std::fs::read_to_string(&path).unwrap()), "{}", path.display());
            }
        }
    }
}
