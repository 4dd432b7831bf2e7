//! Large tables, made by SQL.

use countersign::secret::PlainToken;
use countersign::session::encode_component;
use countersign::token::session_cookie_name;
use hkdf::Hkdf;
use sha2::Sha256;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};

use crate::app::SECRET;

/// A session lasts until here; nothing of it is due for renewal meanwhile.
const FAR: i64 = 4_000_000_000;
/// Rows made by one statement.
const PART: usize = 100_000;

async fn connect(url: &str) -> SqliteConnection {
    let path = url.strip_prefix("sqlite://").unwrap();
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("synchronous", "OFF")
        .pragma("cache_size", "-200000");
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn now() -> i64 {
    use countersign::clock::Clock as _;
    countersign::clock::SystemClock.now().0
}

/// Adds sessions number `from` up to `to`, of a tenth as many users; nobody knows their ids.
pub(crate) async fn sessions(url: &str, from: u64, to: u64) {
    let mut connection = connect(url).await;
    let numbers = "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2) ";
    let users = format!(
        "{numbers} INSERT OR IGNORE INTO users (id, email, created_at) \
         SELECT printf('%032x', i / 10), 'user' || (i / 10) || '@example.com', 0 FROM n WHERE i % 10 = 0 OR i = $1"
    );
    let rows = format!(
        "{numbers} INSERT INTO sessions (id, user_id, strategy, method, authenticated_at, expires_at, renewed_at, \
         user_agent, address, claims) SELECT randomblob(32), printf('%032x', i / 10), 'database', 'pwd', $3, {FAR}, \
         $3, 'Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0', '192.0.2.1', '{{}}' FROM n"
    );
    // A part at a time: what one transaction writes stays in the log of SQLite until its end, and is searched there.
    for start in (from..to).step_by(PART) {
        let end = to.min(start + PART as u64);
        for statement in [&users, &rows] {
            sqlx::query(sqlx::AssertSqlSafe(statement.as_str()))
                .bind(i64::try_from(start).unwrap())
                .bind(i64::try_from(end).unwrap())
                .bind(now())
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }
    connection.close().await.unwrap();
}

/// Adds people number `from` up to `to`, and as many records of the audit log: past the chain, which nobody follows here.
pub(crate) async fn people_and_records(url: &str, from: u64, to: u64) {
    let mut connection = connect(url).await;
    let numbers = "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2) ";
    let users = format!(
        "{numbers} INSERT INTO users (id, email, name, created_at) \
         SELECT printf('%032x', i), printf('user%07d@example.com', i), 'User ' || i, 0 FROM n"
    );
    let records = format!(
        "{numbers} INSERT INTO audit_records (sequence, at, event, outcome, user_id, email, address, request_id, \
         details, hash) SELECT i + 1000000000, $3, 'sign_in.succeeded', 'success', printf('%032x', i), \
         printf('user%07d@example.com', i), '192.0.2.1', printf('%032x', i), '{{\"method\":\"pwd\"}}', randomblob(32) FROM n"
    );
    for statement in [users, records] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(i64::try_from(from).unwrap())
            .bind(i64::try_from(to).unwrap())
            .bind(now())
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let head =
        "UPDATE audit_chain SET sequence = (SELECT MAX(sequence) FROM audit_records) WHERE mark = 'head'";
    sqlx::query(head).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Adds revocations of so many sessions that nobody has.
pub(crate) async fn revocations(url: &str, count: u64) {
    let mut connection = connect(url).await;
    let rows = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
         INSERT INTO revocations (kind, subject, sequence, not_after, expires_at) \
         SELECT 'session', randomblob(32), i, $2, {FAR} FROM n WHERE $1 > 0"
    );
    let count = i64::try_from(count).unwrap();
    sqlx::query(sqlx::AssertSqlSafe(rows)).bind(count).bind(now()).execute(&mut connection).await.unwrap();
    let counter = sqlx::query("UPDATE counters SET value = $1 WHERE name = 'revocations'").bind(count);
    counter.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Adds sessions whose `Cookie` headers are known: the service's own key seals them, as a browser would have been given
/// them.
pub(crate) async fn known_sessions(url: &str, count: u64) -> Vec<String> {
    let mut connection = connect(url).await;
    let name = session_cookie_name(countersign::token::Format::NextAuthV3, false);
    let key = private_key();
    let mut headers = Vec::new();
    let mut act = connection.begin().await.unwrap();
    for _ in 0..count {
        let plain = PlainToken::generate().unwrap();
        sqlx::query(
            "INSERT INTO sessions (id, user_id, strategy, method, authenticated_at, expires_at, renewed_at, claims) \
             VALUES ($1, (SELECT id FROM users LIMIT 1), 'database', 'pwd', $2, $3, $2, '{}')",
        )
        .bind(plain.hash().as_bytes().as_slice())
        .bind(now())
        .bind(FAR)
        .execute(&mut *act)
        .await
        .unwrap();
        let mut jar = cookie::CookieJar::new();
        jar.private_mut(&key).add((name, plain.expose()));
        headers.push(format!("{name}={}", encode_component(jar.get(name).unwrap().value())));
    }
    act.commit().await.unwrap();
    connection.close().await.unwrap();
    headers
}

/// As the service derives it: see `src/session/private_cookie.rs`.
fn private_key() -> cookie::Key {
    let mut bytes = [0; 64];
    let label = b"Countersign private session cookie v1";
    Hkdf::<Sha256>::new(None, SECRET.as_bytes()).expand(label, &mut bytes).unwrap();
    cookie::Key::from(&bytes)
}

/// Makes so many sessions, known or not, long expired, for the clean-up to find.
pub(crate) async fn expired(url: &str, count: u64) {
    let mut connection = connect(url).await;
    let statement = "UPDATE sessions SET expires_at = 1 WHERE id IN (SELECT id FROM sessions WHERE expires_at > 1 LIMIT $1)";
    sqlx::query(statement).bind(i64::try_from(count).unwrap()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
