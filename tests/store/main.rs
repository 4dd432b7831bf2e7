//! The store's contract, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod accounts;
mod attempts;
mod audit;
mod busy;
mod endings;
mod factors;
mod people;
mod plans;
mod resealing;
mod roles;
mod schema;
mod sessions;
mod stamps;
mod verifications;

#[path = "../support/postgres.rs"]
mod postgres;

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::Timestamp;
use countersign::model::{
    AuthMethod, DisplayName, Email, NewUser, SecurityStamp, SessionRecord, Strategy, UserId,
};
use countersign::secret::{PlainToken, TokenHash};
use countersign::store::{self, Created, Database, Inserted, OpenOptions, Store};
use tempfile::TempDir;

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);

/// A fresh store, and what must live as long as it.
pub(crate) struct Fresh {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: OpenOptions,
    _folder: TempDir,
}

pub(crate) fn options(database: Database) -> OpenOptions {
    OpenOptions { database, max_connections: 8, timeout: Duration::from_secs(20) }
}

/// An empty database, not migrated.
pub(crate) async fn empty(kind: &str) -> Option<Fresh> {
    let folder = TempDir::new().unwrap();
    let database = match kind {
        "sqlite" => Database::Sqlite(folder.path().join("test.db")),
        _ => Database::Postgres(postgres::fresh_database().await?),
    };
    let options = options(database);
    let store = store::open(&options).await.unwrap();
    Some(Fresh { store, options, _folder: folder })
}

/// A migrated one.
pub(crate) async fn fresh(kind: &str) -> Option<Fresh> {
    let fresh = empty(kind).await?;
    fresh.store.migrate().await.unwrap();
    Some(fresh)
}

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub(crate) fn new_user(address: &str) -> NewUser {
    NewUser {
        id: UserId::generate().unwrap(),
        email: email(address),
        name: Some(DisplayName::parse("Ada").unwrap()),
        password_hash: Some("$argon2id$x".to_owned()),
        created_at: NOW,
    }
}

/// A stored user.
pub(crate) async fn user(store: &dyn Store, address: &str) -> UserId {
    let user = new_user(address);
    assert_eq!(store.create_user(&user).await.unwrap(), Created::Created);
    user.id
}

pub(crate) fn record(user: &UserId) -> SessionRecord {
    SessionRecord {
        id: PlainToken::generate().unwrap().hash(),
        user_id: user.clone(),
        strategy: Strategy::Database,
        method: AuthMethod::Pwd,
        authenticated_at: NOW,
        expires_at: NOW.plus(1000),
        renewed_at: NOW,
        user_agent: Some("Firefox".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        claims: "{\"a\":1}".to_owned(),
    }
}

/// A stored session.
pub(crate) async fn session(store: &dyn Store, user: &UserId) -> TokenHash {
    let record = record(user);
    let seen = stamp(store, user).await;
    assert_eq!(store.insert_session(&record, seen, None).await.unwrap(), Inserted::Inserted);
    record.id
}

/// The stamp of a user who has seen nothing yet.
pub(crate) const FIRST: SecurityStamp = SecurityStamp(0);

/// A user's stamp at this moment.
pub(crate) async fn stamp(store: &dyn Store, user: &UserId) -> SecurityStamp {
    store.find_user(user).await.unwrap().unwrap().security_stamp
}

/// Runs each function on both databases.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let fresh = crate::fresh("sqlite").await.unwrap();
                super::$name(&fresh).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(fresh) = crate::fresh("postgres").await {
                    super::$name(&fresh).await;
                }
            })+
        }
    };
}
pub(crate) use on_both;
