//! A route guarded by axum-login, with sessions in SQLite: what Countersign's database strategy is compared with.
//!
//! ```console
//! cargo run --release -- FOLDER PORT ROWS ASKED
//! ```
//!
//! Makes `ROWS` sessions in `FOLDER/sessions.db`, of which `ASKED` are known: their `Cookie` headers stand in
//! `FOLDER/cookies.txt`, a line each. Then it serves `/session` (guarded) and `/open` with the same answer. Its users are in
//! memory, so a request asks for one row and not for two.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write as _;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::IntoResponse;
use axum::routing::get;
use axum_login::tower_sessions::session::{Id, Record};
use axum_login::tower_sessions::{Expiry, SessionManagerLayer, SessionStore as _};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, UserId, login_required};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use time::{Duration, OffsetDateTime};
use tower_sessions_sqlx_store::SqliteStore;

#[derive(Debug, Clone)]
struct User {
    email: String,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        1
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"what the password was hashed to"
    }
}

#[derive(Debug, Clone)]
struct Users(HashMap<i64, User>);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = i64;
    type Error = Infallible;

    async fn authenticate(&self, id: i64) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(&id).cloned())
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(id).cloned())
    }
}

fn answer(email: &str) -> impl IntoResponse + use<> {
    let headers =
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "private, no-store"), (VARY, "Cookie")];
    (headers, format!("{{\"email\":\"{email}\"}}"))
}

async fn session(session: AuthSession<Users>) -> impl IntoResponse {
    answer(session.user.map(|user| user.email).unwrap_or_default().as_str())
}

async fn open() -> impl IntoResponse {
    answer("ada@example.com")
}

/// A session as axum-login itself writes it.
fn record() -> Record {
    let data = axum_login_data();
    Record { id: Id::default(), data, expiry_date: OffsetDateTime::now_utc() + Duration::days(30) }
}

fn axum_login_data() -> HashMap<String, serde_json::Value> {
    let hash: Vec<u8> = b"what the password was hashed to".to_vec();
    HashMap::from([("axum-login.data".to_owned(), serde_json::json!({ "user_id": 1, "auth_hash": hash }))])
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, port, rows, asked] = arguments.as_slice() else {
        panic!("FOLDER PORT ROWS ASKED");
    };
    let options = SqliteConnectOptions::new()
        .filename(format!("{folder}/sessions.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off);
    let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
    let store = SqliteStore::new(pool);
    store.migrate().await.unwrap();
    let (rows, asked): (u64, u64) = (rows.parse().unwrap(), asked.parse().unwrap());
    let mut cookies = std::fs::File::create(format!("{folder}/cookies.txt")).unwrap();
    for number in 0..rows {
        let mut record = record();
        store.create(&mut record).await.unwrap();
        if number < asked {
            writeln!(cookies, "id={}", record.id).unwrap();
        }
    }
    let sessions = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::days(30)));
    let users = Users(HashMap::from([(1, User { email: "ada@example.com".to_owned() })]));
    let application = Router::new()
        .route("/session", get(session))
        .route_layer(login_required!(Users))
        .route("/open", get(open))
        .layer(AuthManagerLayerBuilder::new(users, sessions).build());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    println!("serving on 127.0.0.1:{port}");
    axum::serve(listener, application).await.unwrap();
}
