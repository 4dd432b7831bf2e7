//! Contention: many writers, several processes, locks and pools that are held by others.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::Timestamp;
use countersign::secret::TokenHash;
use countersign::store::{self, Database, Error, OpenOptions, Store};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::{Fresh, NOW, on_both, options, record, session, user};

on_both!(failures_use_up_no_connection);

/// Names the database to the process that this test binary starts of itself.
const DATABASE: &str = "BUSY_TEST_DATABASE";
/// Writers in each process.
const WRITERS: usize = 64;

/// What each writer does, and no call of it may fail.
async fn write(store: Arc<dyn Store>, user: countersign::model::UserId, writer: usize) {
    let id = session(&*store, &user).await;
    store.count_attempt(&TokenHash::of(&format!("{writer}")), NOW, 100).await.unwrap();
    assert!(store.renew_session(&id, NOW.plus(1), NOW.plus(9)).await.unwrap());
    assert!(store.end_session(&id, Some(&user), NOW.plus(9)).await.unwrap());
}

async fn all_write(store: &Arc<dyn Store>, user: &countersign::model::UserId) {
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(store), user.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Not a test: the other process of the next one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by another test, as a process of its own"]
async fn another_process() {
    let Ok(path) = std::env::var(DATABASE) else { return };
    let store = store::open(&options(Database::Sqlite(path.into()))).await.unwrap();
    let eve = user(&*store, "eve@example.com").await;
    all_write(&store, &eve).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_of_two_processes_never_find_the_database_locked() {
    let fresh = crate::fresh("sqlite").await.unwrap();
    let Database::Sqlite(path) = &fresh.options.database else { panic!() };
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["busy::another_process", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ada = user(&*fresh.store, "ada@example.com").await;
    all_write(&fresh.store, &ada).await;
    let output = tokio::task::spawn_blocking(|| other.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let revoked = fresh.store.revocations_after(0, 1000).await.unwrap();
    assert_eq!(revoked.len(), 2 * WRITERS, "every act of both processes is there");
    let sequences: std::collections::BTreeSet<i64> = revoked.iter().map(|found| found.sequence).collect();
    assert_eq!(sequences.len(), 2 * WRITERS, "and each has its own number");
    let mut connection = raw_sqlite(path).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mode, "wal");
    connection.close().await.unwrap();
}

async fn raw_sqlite(path: &std::path::Path) -> sqlx::SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

fn impatient(fresh: &Fresh, connections: u32) -> OpenOptions {
    OpenOptions { max_connections: connections, timeout: Duration::from_secs(1), ..fresh.options.clone() }
}

/// Somebody else writes for long: writers are told in time, readers read on, and nothing happens afterwards that was
/// reported as unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_is_unavailable_and_readers_read_on() {
    let fresh = crate::fresh("sqlite").await.unwrap();
    let Database::Sqlite(path) = &fresh.options.database else { panic!() };
    let store = store::open(&impatient(&fresh, 4)).await.unwrap();
    let ada = user(&*store, "ada@example.com").await;
    let id = session(&*store, &ada).await;
    let mut other = raw_sqlite(path).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        let outcomes = tokio::join!(
            store.renew_session(&id, NOW.plus(1), NOW.plus(9)),
            store.end_session(&id, None, NOW.plus(9)),
            store.count_attempt(&id, NOW, 100),
            store.find_session(&id),
        );
        assert!(matches!(outcomes.0, Err(Error::Unavailable(_))), "{:?}", outcomes.0);
        assert!(matches!(outcomes.1, Err(Error::Unavailable(_))), "{:?}", outcomes.1);
        assert!(matches!(outcomes.2, Err(Error::Unavailable(_))), "{:?}", outcomes.2);
        assert!(outcomes.3.unwrap().is_some());
    }
    other.execute("ROLLBACK").await.unwrap();
    let (found, _) = store.find_session(&id).await.unwrap().unwrap();
    assert_eq!(found.renewed_at, NOW, "nothing was carried out late");
    assert_eq!(store.count_attempt(&id, NOW, 100).await.unwrap().count, 1);
    assert!(store.renew_session(&id, NOW.plus(1), NOW.plus(9)).await.unwrap());
    other.close().await.unwrap();
    store.close().await;
}

/// Every connection is held up: whoever comes next is told in time, and all are served again afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_exhausted_is_unavailable_and_recovers() {
    let Some(fresh) = crate::fresh("postgres").await else { return };
    let Database::Postgres(url) = &fresh.options.database else { panic!() };
    let store = store::open(&impatient(&fresh, 2)).await.unwrap();
    let ada = user(&*store, "ada@example.com").await;
    let mut other = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await.unwrap();
    for _ in 0..3 {
        other.execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await.unwrap();
        // Two hold the connections, and eight wait for one.
        let held: Vec<_> = (0..10)
            .map(|_| {
                let (store, ada) = (Arc::clone(&store), ada.clone());
                tokio::spawn(async move { store.list_sessions(&ada).await.map(drop) })
            })
            .collect();
        for held in held {
            let outcome = held.await.unwrap();
            assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
        }
        other.execute("ROLLBACK").await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..50 {
            answers.push(store.list_sessions(&ada).await.is_ok());
            if answers.ends_with(&[true, true, true]) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(answers.ends_with(&[true, true, true]), "{answers:?}");
    }
    other.close().await.unwrap();
    store.close().await;
}

/// Ten thousand acts that fail in the middle of their transaction.
async fn failures_use_up_no_connection(fresh: &Fresh) {
    let store = &fresh.store;
    let ada = user(&**store, "ada@example.com").await;
    let id = session(&**store, &ada).await;
    let mut twin = record(&ada);
    twin.id = id;
    let replaces = Some(store::Replaced { id: TokenHash::of("old"), revoke_until: Timestamp(0) });
    for _ in 0..10_000 {
        assert!(store.insert_session(&twin, crate::FIRST, replaces).await.is_err());
    }
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.find_session(&id).await.unwrap().is_some() })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap());
    }
    assert!(store.end_session(&id, None, NOW).await.unwrap());
}
