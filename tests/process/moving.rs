//! From SQLite to PostgreSQL: killed in the middle, begun again, and everybody is still signed in.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::clock::Timestamp;
use countersign::secret::TokenHash;
use countersign::store::{self, Database, OpenOptions, Store};
use rocket::tokio::runtime::Runtime;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::postgres;
use crate::races::status;
use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, program, run, said, sign_in};

/// Sessions besides those of the test.
const MANY: usize = 30_000;
/// Those of them that end between the two runs.
const FEWER: usize = 1_500;

fn open(runtime: &Runtime, database: Database) -> Arc<dyn Store> {
    let options = OpenOptions { database, max_connections: 2, timeout: Duration::from_secs(20) };
    runtime.block_on(store::open(&options)).unwrap()
}

/// The one number a query of the target gives; `None` when there is no such table.
fn number(runtime: &Runtime, url: &str, query: &'static str) -> Option<i64> {
    runtime.block_on(async {
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        let number = sqlx::query_scalar(query).fetch_one(&mut connection).await.ok();
        connection.close().await.unwrap();
        number
    })
}

/// Executes statements on the source.
fn change(runtime: &Runtime, file: &Path, statements: &str) {
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(20));
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn sign_out(service: &Address, session: &str) {
    let first = service.get("/api/auth/csrf", "");
    let body = format!("csrfToken={}&json=true", csrf(&first));
    let answer = service.post("/api/auth/signout", &format!("{}; {session}", cookies(&first)), &body);
    assert_eq!(status(&answer), 200, "{answer}");
}

fn is_open(service: &Address, session: &str) -> bool {
    status(&service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"))) == 200
}

fn migrate(folder: &Path, from: &str, to: &str) -> Output {
    run(folder, &["migrate", "--from", from, "--to", to], &[])
}

/// Starts a move and kills it when some pieces have arrived.
fn kill_in_the_middle(runtime: &Runtime, folder: &Path, from: &str, to: &str) {
    let mut child = program(folder, &["migrate", "--from", from, "--to", to], &[]).spawn().unwrap();
    let since = Instant::now();
    let pieces = || number(runtime, to, "SELECT count(*) FROM countersign_moving.chunks").unwrap_or(0);
    while pieces() < 5 {
        assert!(since.elapsed() < Duration::from_mins(1), "nothing arrives");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn people_stay_signed_in_although_the_move_was_killed() {
    let runtime = Runtime::new().unwrap();
    for strategy in ["jwt", "database"] {
        let Some(to) = runtime.block_on(postgres::fresh_database()) else { return };
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("data/countersign.db");
        let from = format!("sqlite://{}", file.display());
        let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_SESSION__STRATEGY", strategy)];
        variables.extend(CHEAP);
        // It goes on running: the source is read as it was at one moment.
        let source = Service::start(folder.path(), &variables);
        let (kept, ended, ended_late) = (sign_in(&source), sign_in(&source), sign_in(&source));
        sign_out(&source, &ended);
        let more = format!(
            "INSERT INTO sessions (id, user_id, strategy, method, authenticated_at, expires_at, renewed_at, claims) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
             SELECT randomblob(32), (SELECT id FROM users), 'database', 'pwd', 1000, 9900000000, 1000, \
             '{{\"name\":\"Äda\"}}' FROM n"
        );
        change(&runtime, &file, &more);
        kill_in_the_middle(&runtime, folder.path(), &from, &to);
        assert_eq!(number(&runtime, &to, "SELECT count(*) FROM users"), Some(0), "nothing or all of it");
        // The source changes between the two runs: rows go, and one is another.
        sign_out(&source, &ended_late);
        let fewer = format!(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE authenticated_at = 1000 \
             ORDER BY id LIMIT {FEWER}); UPDATE users SET name = 'Countess'"
        );
        change(&runtime, &file, &fewer);
        let output = migrate(folder.path(), &from, &to);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("by an earlier run"), "{}", said(&output));
        same(&runtime, &file, &to);
        let again = migrate(folder.path(), &from, &to);
        assert!(again.status.success() && said(&again).contains("moved already"), "{}", said(&again));
        drop(source);
        variables.push(("COUNTERSIGN_DATABASE_URL", &to));
        let target = Service::start(folder.path(), &variables);
        assert!(is_open(&target, &kept), "{strategy}: signed in before, signed in after");
        for session in [&ended, &ended_late] {
            assert!(!is_open(&target, session), "{strategy}: a sign-out came along");
        }
        // The counter came along: what is revoked now comes after all that was.
        let last = || number(&runtime, &to, "SELECT max(sequence) FROM revocations").unwrap();
        let before = last();
        sign_out(&target, &kept);
        assert!(before >= 2 && last() > before, "{strategy}: {before}, {}", last());
        sign_in(&target);
    }
}

/// What both stores say of people, sessions and revocations.
fn same(runtime: &Runtime, file: &Path, to: &str) {
    let told = |database: Database| {
        let store = open(runtime, database);
        runtime.block_on(async {
            let users = store.list_users(None, 100).await.unwrap();
            assert_eq!(users.len(), 1);
            let password = store.find_user_by_email(&users[0].email).await.unwrap().unwrap().password_hash;
            let revocations = store.revocations_after(0, 1000).await.unwrap();
            let revoked: Vec<_> = revocations.iter().map(|found| (found.sequence, found.not_after)).collect();
            let sessions = store.list_sessions(&users[0].id).await.unwrap();
            let mut ids: Vec<_> = sessions
                .into_iter()
                .map(|session| (session.id, session.claims, session.expires_at))
                .collect();
            ids.sort_unstable();
            store.close().await;
            (format!("{users:?}"), password, revoked, ids)
        })
    };
    let (one, two) = (told(Database::Sqlite(file.to_owned())), told(Database::Postgres(to.to_owned())));
    assert!(one.0 == two.0 && one.0.contains("Countess"), "{} {}", one.0, two.0);
    assert_eq!((one.1, one.2), (two.1, two.2));
    assert!(one.3 == two.3, "every session is there, and no other");
    assert_eq!(two.3.len(), MANY - FEWER + 1);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_touched() {
    let runtime = Runtime::new().unwrap();
    let fresh = || runtime.block_on(postgres::fresh_database());
    let Some(empty) = fresh() else { return };
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("source.db");
    let from = format!("sqlite://{}", file.display());
    let refused = |from: &str, to: &str, expected: &str| {
        let output = migrate(folder.path(), from, to);
        let text = said(&output);
        assert!(!output.status.success() && text.contains(expected), "{expected:?}: {text}");
    };
    refused(&from, &empty, "the source cannot be read");
    change(&runtime, &file, "CREATE TABLE x (y INTEGER PRIMARY KEY)");
    refused(&from, &empty, "no database of countersign");
    std::fs::remove_file(&file).unwrap();
    let source = open(&runtime, Database::Sqlite(file.clone()));
    runtime.block_on(source.migrate()).unwrap();
    refused("postgres://localhost/x", &empty, "--from takes sqlite://");
    refused(&from, "sqlite://other.db", "--to takes postgres://");

    // A table of somebody else's, which the target has no place for.
    change(&runtime, &file, "CREATE TABLE notes (id INTEGER PRIMARY KEY NOT NULL) STRICT");
    refused(&from, &empty, "table notes that the target does not know");
    change(&runtime, &file, "DROP TABLE notes");

    // A target where something happened.
    let used = fresh().unwrap();
    let store = open(&runtime, Database::Postgres(used.clone()));
    runtime.block_on(store.migrate()).unwrap();
    let until = Timestamp(9_900_000_000);
    runtime.block_on(store.end_session(&TokenHash::of("s"), None, until)).unwrap();
    change(&runtime, &file, "INSERT INTO users (id, email, created_at) VALUES ('u', 'ada@example.com', 1)");
    refused(&from, &used, "holds data of its own already");
    assert_eq!(number(&runtime, &used, "SELECT count(*) FROM revocations"), Some(1));
    assert_eq!(number(&runtime, &used, "SELECT count(*) FROM users"), Some(0));

    // A service that runs on the target.
    let busy = fresh().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_DATABASE_URL", busy.as_str())];
    variables.extend(CHEAP);
    let service = Service::start(folder.path(), &variables);
    let since = Instant::now();
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'countersign listener' \
                     AND datname = current_database()";
    while number(&runtime, &busy, listening) == Some(0) {
        assert!(since.elapsed() < Duration::from_secs(20), "it does not listen");
    }
    refused(&from, &busy, "a service runs on the target");
    drop(service);

    // A source of another version.
    change(
        &runtime,
        &file,
        "INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'expand later', success, checksum, 0 FROM _countersign_migrations WHERE version = 1",
    );
    refused(&from, &empty, "the source's schema is of version 9999");
    change(&runtime, &file, "DELETE FROM _countersign_migrations WHERE version = 9999");

    // The control: nothing stands in the way any more. Another source is then refused.
    let output = migrate(folder.path(), &from, &empty);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(number(&runtime, &empty, "SELECT count(*) FROM users"), Some(1));
    runtime.block_on(source.close());
    std::fs::copy(&file, folder.path().join("another.db")).unwrap();
    refused(&from.replace("source.db", "another.db"), &empty, "holds data of its own already");
}
