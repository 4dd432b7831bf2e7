//! A store that counts its calls and fails or hangs when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use countersign::clock::Timestamp;
use countersign::model::{
    AccessTokenRecord, AuditEntry, AuditRecord, DisplayName, Email, ExternalId, Factors, LinkedAccount,
    NewAccount, NewUser, PasskeyRecord, Permission, Revocation, SessionRecord, Subject, TotpRecord, User,
    UserId,
};
use countersign::secret::TokenHash;
use countersign::store::{
    AccessTokens, Accounts, AttemptCount, Attempts, Audit, AuditEnds, AuditFilter, Created, Ends, Error,
    FactorStore, Inserted, Linked, PasskeyAdded, Replaced, Revocations, Roles, SealedTokens, Sessions, Store,
    Unlinked, UserWithPassword, Users,
};
use rocket::async_trait;
use rocket::http::{ContentType, Method};

use crate::app::{App, STRATEGIES};
use crate::browser::Steps as _;

/// Wraps a store.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    calls: AtomicUsize,
    /// Calls that still succeed; negative: all of them do.
    healthy: AtomicI64,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, calls: AtomicUsize::new(0), healthy: AtomicI64::new(-1) }
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Lets `calls` more calls succeed and fails every one after them.
    pub(crate) fn fail_after(&self, calls: i64) {
        self.healthy.store(calls, Ordering::SeqCst);
    }

    /// Works again.
    pub(crate) fn recover(&self) {
        self.healthy.store(-1, Ordering::SeqCst);
    }

    fn gate(&self) -> Result<(), Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let left = self
            .healthy
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left > 0).then(|| left - 1));
        match left {
            Err(0) => Err(Error::Unavailable("a fault was injected".to_owned())),
            _ => Ok(()),
        }
    }
}

macro_rules! delegate {
    ($($trait:ident { $(fn $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)* })*) => {$(
        #[async_trait]
        impl $trait for FaultyStore {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, Error> {
                self.gate()?;
                self.inner.$name($($arg),*).await
            })*
        }
    )*};
}

delegate! {
    Users {
        fn create_user(user: &NewUser) -> Created;
        fn find_user(id: &UserId) -> Option<User>;
        fn find_user_by_email(email: &Email) -> Option<UserWithPassword>;
        fn set_password_hash(id: &UserId, hash: &str) -> bool;
        fn change_password(id: &UserId, hash: &str, keep: Option<&TokenHash>, until: Timestamp) -> Option<Vec<TokenHash>>;
        fn set_name(id: &UserId, name: Option<&DisplayName>) -> bool;
        fn disable_user(id: &UserId, now: Timestamp, until: Timestamp) -> bool;
        fn enable_user(id: &UserId) -> bool;
        fn list_users(after: Option<&Email>, limit: u32) -> Vec<User>;
    }
    Sessions {
        fn insert_session(session: &SessionRecord, replaces: Option<Replaced>) -> Inserted;
        fn find_session(id: &TokenHash) -> Option<(SessionRecord, User)>;
        fn renew_session(id: &TokenHash, renewed_at: Timestamp, expires_at: Timestamp) -> bool;
        fn list_sessions(user: &UserId) -> Vec<SessionRecord>;
        fn end_session(id: &TokenHash, owner: Option<&UserId>, until: Timestamp) -> bool;
        fn end_sessions_of(user: &UserId, keep: Option<&TokenHash>, until: Timestamp) -> Vec<TokenHash>;
        fn delete_expired_sessions(before: Timestamp, limit: u32) -> u64;
    }
    Revocations {
        fn revoke(subject: &Subject, not_after: Timestamp, expires_at: Timestamp) -> ();
        fn revocations_after(after: i64, limit: u32) -> Vec<Revocation>;
        fn delete_expired_revocations(before: Timestamp, limit: u32) -> u64;
    }
    Accounts {
        fn find_account(external: &ExternalId) -> Option<(LinkedAccount, User)>;
        fn list_accounts(user: &UserId) -> Vec<LinkedAccount>;
        fn create_user_with_account(user: &NewUser, proven: Option<Timestamp>, image: Option<&str>, account: &NewAccount) -> Linked;
        fn link_account(user: &UserId, account: &NewAccount) -> Linked;
        fn take_over(user: &UserId, name: Option<&DisplayName>, account: &NewAccount, now: Timestamp, until: Timestamp) -> Linked;
        fn unlink_account(user: &UserId, account: &str, other_way: bool) -> Unlinked;
        fn keep_tokens(account: &str, sealed: &str) -> bool;
        fn find_tokens(user: &UserId, provider: &str) -> Option<SealedTokens>;
        fn lease_tokens(account: &str, lease: &TokenHash, now: Timestamp, until: Timestamp) -> Option<String>;
        fn renew_tokens(account: &str, lease: &TokenHash, sealed: &str) -> bool;
    }
    Attempts {
        fn count_attempt(key: &TokenHash, now: Timestamp, window: i64) -> AttemptCount;
        fn return_attempt(key: &TokenHash) -> ();
        fn forget_attempts(key: &TokenHash) -> ();
        fn delete_ended_attempts(before: Timestamp, limit: u32) -> u64;
    }
    Audit {
        fn append_audit(entries: &[AuditEntry]) -> Vec<AuditRecord>;
        fn audit_after(after: i64, filter: &AuditFilter, limit: u32) -> Vec<AuditRecord>;
        fn audit_ends() -> AuditEnds;
        fn prune_audit(before: Timestamp, limit: u32) -> u64;
    }
    FactorStore {
        fn find_factors(user: &UserId) -> Factors;
        fn enable_totp(user: &UserId, totp: &TotpRecord, recovery: &[TokenHash], ends: Ends<'_>) -> bool;
        fn accept_totp_step(user: &UserId, step: i64) -> bool;
        fn reseal_totp(user: &UserId, old: &str, new: &str) -> bool;
        fn remove_totp(user: &UserId, ends: Ends<'_>) -> bool;
        fn replace_recovery_codes(user: &UserId, codes: &[TokenHash]) -> ();
        fn spend_recovery_code(user: &UserId, code: &TokenHash) -> bool;
        fn add_passkey(key: &PasskeyRecord, most: u32, recovery: &[TokenHash], ends: Ends<'_>) -> PasskeyAdded;
        fn find_passkey(id: &TokenHash) -> Option<(PasskeyRecord, User)>;
        fn use_passkey(id: &TokenHash, credential: &str, now: Timestamp) -> bool;
        fn remove_passkey(user: &UserId, id: &TokenHash, ends: Ends<'_>) -> bool;
        fn remove_factors(user: &UserId, ends: Ends<'_>) -> ();
        fn spend(key: &TokenHash, expires_at: Timestamp) -> bool;
        fn delete_spent(before: Timestamp, limit: u32) -> u64;
    }
    Roles {
        fn grant_role(user: &UserId, role: &Permission, now: Timestamp) -> bool;
        fn take_role(user: &UserId, role: &Permission) -> bool;
        fn roles_of(user: &UserId) -> Vec<Permission>;
        fn search_users(beginning: &str, after: Option<&Email>, limit: u32) -> Vec<User>;
    }
    AccessTokens {
        fn insert_access_token(token: &AccessTokenRecord, most: u32) -> bool;
        fn find_access_token(id: &TokenHash) -> Option<(AccessTokenRecord, User)>;
        fn list_access_tokens(user: &UserId) -> Vec<AccessTokenRecord>;
        fn use_access_token(id: &TokenHash, now: Timestamp) -> ();
        fn delete_access_token(user: &UserId, id: &TokenHash) -> bool;
        fn delete_expired_access_tokens(before: Timestamp, limit: u32) -> u64;
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn migrate(&self) -> Result<(), Error> {
        self.inner.migrate().await
    }

    async fn check_schema(&self) -> Result<(), Error> {
        self.inner.check_schema().await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.gate()?;
        self.inner.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// With the database strategy a session that was not read a moment ago needs the store: a failure is 503, touches no
/// cookie, and passes.
#[rocket::async_test]
async fn a_store_that_is_down_is_503_and_never_signed_out() {
    let app = App::new("database").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.store.fail_after(0);
    for path in ["/me", "/claims", "/maybe", "/api/auth/session", "/api/auth/signin", "/api/auth/account"] {
        let answer = ada.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{path}");
        assert!(answer.headers("set-cookie").is_empty(), "{path}");
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{path}");
    }
    let page = ada.visit("/page").await;
    assert_eq!(page.status, 503);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    app.store.recover();
    assert_eq!(ada.me().await, (200, "ada@example.com".to_owned()));
}

/// Whatever call of an action fails, the answer is 503, no cookie is set, nobody is signed in and no guess is counted.
#[rocket::async_test]
async fn an_action_whose_nth_store_call_fails_did_not_happen() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        app.browser().enter("ada@example.com").await;
        let mut failures = 0;
        for healthy in 0.. {
            let mut browser = app.browser();
            let token = browser.csrf().await;
            app.store.fail_after(healthy);
            let fields = [
                ("csrfToken", token.as_str()),
                ("email", "ada@example.com"),
                ("password", crate::browser::PASSWORD),
                ("json", "true"),
            ];
            let answer = browser.form("/api/auth/callback/credentials", &fields).await;
            app.store.recover();
            if answer.status == 200 {
                assert_eq!(browser.me().await.0, 200);
                break;
            }
            failures += 1;
            assert_eq!(answer.status, 503, "{strategy}, call {healthy}: {}", answer.body);
            assert!(answer.headers("set-cookie").is_empty(), "{strategy}, call {healthy}");
            assert_eq!(browser.me().await.0, 401);
        }
        assert!(failures >= 3, "{strategy}: only {failures} store calls were seen");
    }
}

/// Signing out while the store is down signs nobody out by half.
#[rocket::async_test]
async fn a_sign_out_that_could_not_be_stored_says_so() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let token = ada.csrf().await;
        app.store.fail_after(0);
        let answer = ada.form("/api/auth/signout", &[("csrfToken", &token), ("json", "true")]).await;
        assert_eq!(answer.status, 503, "{strategy}");
        assert!(answer.headers("set-cookie").is_empty());
        app.store.recover();
        assert_eq!(ada.me().await.0, 200, "{strategy}: still signed in, as the answer said");
    }
}

/// With JWTs the store is not asked per request; but without it for long, "not revoked" is no longer known.
#[rocket::async_test]
async fn a_token_is_not_believed_for_long_without_the_store() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.store.fail_after(0);
    assert_eq!(ada.me().await.0, 200, "a moment without the store is bridged");
    rocket::tokio::time::sleep(countersign::session::STALE_AFTER + countersign::session::REFRESH_EVERY).await;
    let answer = ada.get("/me").await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers("set-cookie").is_empty());
    app.store.recover();
    assert_eq!(ada.me().await.0, 200, "asked at once when it is back");
}

/// Every route that people reach, with every store call of it failing in turn.
#[rocket::async_test]
async fn whatever_route_whatever_call_the_answer_is_unknown() {
    let fields = |token: &str| {
        format!(
            "csrfToken={token}&email=ada%40example.com&password={0}&current={0}&new={0}2&name=Ada&json=true&id=00",
            crate::browser::PASSWORD.replace(' ', "+")
        )
    };
    let routes = [
        (Method::Get, "/me"),
        (Method::Get, "/maybe"),
        (Method::Get, "/claims"),
        (Method::Get, "/api/auth/session"),
        (Method::Get, "/api/auth/signin"),
        (Method::Get, "/api/auth/signout"),
        (Method::Get, "/api/auth/signup"),
        (Method::Get, "/api/auth/account"),
        (Method::Get, "/api/auth/error"),
        (Method::Get, "/api/auth/csrf"),
        (Method::Get, "/api/auth/providers"),
        (Method::Post, "/api/auth/session"),
        (Method::Post, "/api/auth/signin/credentials"),
        (Method::Post, "/api/auth/callback/credentials"),
        (Method::Post, "/api/auth/signup"),
        (Method::Post, "/api/auth/account/name"),
        (Method::Post, "/api/auth/account/password"),
        (Method::Post, "/api/auth/account/sessions/end"),
        (Method::Post, "/api/auth/account/sessions/end-others"),
        (Method::Post, "/api/auth/signout"),
    ];
    let mut refused = 0;
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let token = ada.csrf().await;
        for (method, path) in routes {
            for healthy in 0..20 {
                let before = app.store.calls();
                app.store.fail_after(healthy);
                let body = (method == Method::Post).then(|| (ContentType::Form, fields(&token)));
                let mut sender = ada.clone();
                let answer = sender.send(method, path, body).await;
                app.store.recover();
                let label = format!("{strategy} {method} {path}, call {healthy}: {}", answer.body);
                if app.store.calls() - before <= usize::try_from(healthy).unwrap() {
                    assert!(answer.status < 500, "{label}");
                    // A sign-in that worked replaced the session.
                    ada = sender;
                    break;
                }
                // So did one whose record alone could not be stored.
                if answer.status < 400 && path == "/api/auth/callback/credentials" {
                    ada = sender.clone();
                }
                // Some failures are bridged (the list of sessions, a use that is noted); none is "signed out", and none
                // touches a cookie.
                assert_ne!(answer.status, 401, "{label}");
                if answer.status >= 500 {
                    refused += 1;
                    assert_eq!(answer.status, 503, "{label}");
                    assert!(answer.header("retry-after").is_some(), "{label}");
                    assert!(answer.headers("set-cookie").is_empty(), "{label}");
                }
                if path != "/api/auth/signout" {
                    assert_eq!(ada.me().await.0, 200, "{label}");
                }
            }
        }
    }
    assert!(refused > 20, "only {refused} failures were seen");
}
