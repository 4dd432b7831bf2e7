//! A store that counts its calls, and fails, hangs or is slow at the n-th of them when it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::clock::Timestamp;
use countersign::model::{
    AccessTokenRecord, AuditEntry, AuditRecord, DisplayName, Email, ExternalId, Factors, LinkedAccount,
    NewAccount, NewUser, PasskeyRecord, Permission, Purpose, Revocation, SecurityStamp, SessionRecord,
    Subject, TotpRecord, User, UserId, Verification,
};
use countersign::secret::TokenHash;
use countersign::store::{
    AccessTokens, Accounts, AttemptCount, Attempts, Audit, AuditEnds, AuditFilter, CodeAttempt, Created,
    EmailChange, Ends, Error, FactorStore, Inserted, Linked, PasskeyAdded, Redeemed, Redemption, Replaced,
    Revocations, Roles, SealedTokens, Sessions, Store, Unlinked, UserWithPassword, Users, Verifications,
};
use rocket::async_trait;
use rocket::tokio;

/// What happens to the n-th call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and so does every one after it: a store that is down.
    Down,
    /// It alone fails: a connection that was cut.
    Once,
    /// It comes back at its time-out only, as every call of a store must, and so do those after it.
    Hangs,
    /// It alone takes long, and then succeeds.
    Slow,
}

/// A time-out, and a delay below it.
const LONG: Duration = Duration::from_millis(40);

/// Wraps a store.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    calls: AtomicUsize,
    /// Looks and changes of the background that seals anew.
    resealing: AtomicUsize,
    plan: Mutex<Option<Plan>>,
}

#[derive(Debug)]
struct Plan {
    fault: Fault,
    /// Calls that still succeed.
    healthy: usize,
    /// The calls that did.
    passed: Vec<&'static str>,
    /// The calls that met the fault.
    met: Vec<&'static str>,
}

/// What requests asked between a plan and the recovery from it.
#[derive(Debug)]
pub(crate) struct Course {
    /// The calls that succeeded before the fault.
    pub(crate) passed: Vec<&'static str>,
    /// The calls that met it, the first of them first.
    pub(crate) met: Vec<&'static str>,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, calls: AtomicUsize::new(0), resealing: AtomicUsize::new(0), plan: Mutex::default() }
    }

    /// Calls that requests have made so far; what goes on in the background is not counted.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How far the background is that goes through everything sealed: whoever finds another number later may find other
    /// rows, too.
    pub(crate) fn resealing(&self) -> usize {
        self.resealing.load(Ordering::SeqCst)
    }

    /// Lets `healthy` more calls succeed; the next one meets the fault.
    pub(crate) fn plan(&self, fault: Fault, healthy: usize) {
        *self.plan.lock().unwrap() = Some(Plan { fault, healthy, passed: Vec::new(), met: Vec::new() });
    }

    /// Lets `healthy` more calls succeed and fails every one after them.
    pub(crate) fn fail_after(&self, healthy: usize) {
        self.plan(Fault::Down, healthy);
    }

    /// Works again. The names of the calls that met the fault.
    pub(crate) fn recover(&self) -> Vec<&'static str> {
        self.recover_and_tell().met
    }

    /// Works again. What was asked meanwhile.
    pub(crate) fn recover_and_tell(&self) -> Course {
        let (passed, met) =
            self.plan.lock().unwrap().take().map(|plan| (plan.passed, plan.met)).unwrap_or_default();
        Course { passed, met }
    }

    async fn gate(&self, name: &'static str) -> Result<(), Error> {
        let fault = Error::Unavailable("a fault was injected".to_owned());
        match self.meet(name) {
            None => Ok(()),
            Some(Fault::Down | Fault::Once) => Err(fault),
            Some(Fault::Hangs) => {
                tokio::time::sleep(LONG).await;
                Err(fault)
            }
            Some(Fault::Slow) => {
                tokio::time::sleep(LONG / 2).await;
                Ok(())
            }
        }
    }

    /// The fault that this call meets. Requests run in the test's own task; what runs in another one is the
    /// background's, which must neither be counted nor use up a fault, but finds a store that is down as everybody does.
    fn meet(&self, name: &'static str) -> Option<Fault> {
        let background = tokio::task::try_id().is_some();
        if !background {
            self.calls.fetch_add(1, Ordering::SeqCst);
        } else if ["list_tokens", "reseal_tokens", "list_totp", "reseal_totp"].contains(&name) {
            self.resealing.fetch_add(1, Ordering::SeqCst);
        }
        let mut plan = self.plan.lock().unwrap();
        let plan = plan.as_mut()?;
        let lasting = matches!(plan.fault, Fault::Down | Fault::Hangs);
        if background {
            return (lasting && plan.healthy == 0).then_some(plan.fault);
        }
        if plan.healthy > 0 {
            plan.healthy -= 1;
            plan.passed.push(name);
            return None;
        }
        if !lasting && !plan.met.is_empty() {
            return None;
        }
        plan.met.push(name);
        Some(plan.fault)
    }
}

macro_rules! delegate {
    ($($trait:ident { $(fn $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)* })*) => {
        /// The name of every method of the contract that can fail, `ping` excepted.
        pub(crate) const METHODS: &[&str] = &[$($(stringify!($name),)*)*];

        $(#[async_trait]
        impl $trait for FaultyStore {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, Error> {
                self.gate(stringify!($name)).await?;
                self.inner.$name($($arg),*).await
            })*
        })*
    };
}

delegate! {
    Users {
        fn create_user(user: &NewUser) -> Created;
        fn find_user(id: &UserId) -> Option<User>;
        fn find_user_by_email(email: &Email) -> Option<UserWithPassword>;
        fn strengthen_hash(id: &UserId, old: &str, new: &str) -> bool;
        fn change_password(id: &UserId, hash: &str, seen: SecurityStamp, keep: Option<&TokenHash>, until: Timestamp)
            -> Option<Vec<TokenHash>>;
        fn set_name(id: &UserId, name: Option<&DisplayName>) -> bool;
        fn disable_user(id: &UserId, now: Timestamp, until: Timestamp) -> bool;
        fn enable_user(id: &UserId) -> bool;
        fn delete_user(id: &UserId, now: Timestamp, until: Timestamp) -> bool;
        fn list_users(after: Option<&Email>, limit: u32) -> Vec<User>;
    }
    Sessions {
        fn insert_session(session: &SessionRecord, seen: SecurityStamp, replaces: Option<Replaced>) -> Inserted;
        fn find_session(id: &TokenHash) -> Option<(SessionRecord, User)>;
        fn renew_session(id: &TokenHash, renewed_at: Timestamp, expires_at: Timestamp) -> bool;
        fn list_sessions(user: &UserId) -> Vec<SessionRecord>;
        fn end_session(id: &TokenHash, owner: Option<&UserId>, until: Timestamp) -> bool;
        fn end_sessions_of(user: &UserId, keep: Option<&TokenHash>, until: Timestamp) -> Vec<TokenHash>;
        fn end_oldest_sessions(user: &UserId, keep: &TokenHash, most: u32, until: Timestamp) -> Vec<TokenHash>;
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
        fn take_over(user: &UserId, seen: SecurityStamp, name: Option<&DisplayName>, account: &NewAccount, now: Timestamp,
            until: Timestamp) -> Linked;
        fn unlink_account(user: &UserId, account: &str, other_way: bool, ends: Ends<'_>) -> Unlinked;
        fn keep_tokens(account: &str, sealed: &str) -> bool;
        fn find_tokens(user: &UserId, provider: &str) -> Option<SealedTokens>;
        fn lease_tokens(account: &str, lease: &TokenHash, now: Timestamp, until: Timestamp) -> Option<String>;
        fn renew_tokens(account: &str, lease: &TokenHash, sealed: &str) -> bool;
        fn list_tokens(after: &str, limit: u32) -> Vec<SealedTokens>;
        fn reseal_tokens(account: &str, old: &str, new: &str) -> bool;
    }
    Attempts {
        fn count_attempts(counters: &[(TokenHash, i64)], now: Timestamp, window: i64) -> Vec<AttemptCount>;
        fn return_attempts(keys: &[TokenHash]) -> ();
        fn forget_attempts(key: &TokenHash) -> ();
        fn delete_ended_attempts(before: Timestamp, limit: u32) -> u64;
    }
    Verifications {
        fn add_verification(verification: &Verification) -> ();
        fn find_verification(id: &TokenHash, purpose: Purpose) -> Option<Verification>;
        fn list_verifications(user: &UserId) -> Vec<Verification>;
        fn count_code_attempt(browser: &TokenHash, purpose: Purpose, now: Timestamp) -> Option<CodeAttempt>;
        fn return_code_attempt(id: &TokenHash) -> ();
        fn redeem_sign_in(redemption: &Redemption<'_>) -> Redeemed;
        fn redeem_verify_email(id: &TokenHash, user: &UserId, now: Timestamp) -> bool;
        fn redeem_reset_password(id: &TokenHash, hash: &str, now: Timestamp, until: Timestamp) -> Option<(User, Vec<TokenHash>)>;
        fn redeem_change_email(id: &TokenHash, user: &UserId, keep: &TokenHash, now: Timestamp, until: Timestamp)
            -> EmailChange;
        fn delete_expired_verifications(before: Timestamp, limit: u32) -> u64;
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
        fn list_totp(after: &str, limit: u32) -> Vec<(UserId, String)>;
        fn reseal_totp(user: &UserId, old: &str, new: &str) -> bool;
        fn remove_totp(user: &UserId, ends: Ends<'_>) -> bool;
        fn replace_recovery_codes(user: &UserId, from: &TokenHash, codes: &[TokenHash]) -> bool;
        fn has_recovery_code(user: &UserId, code: &TokenHash) -> bool;
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
        fn insert_access_token(token: &AccessTokenRecord, from: Option<&TokenHash>, most: u32) -> bool;
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
        self.gate("ping").await?;
        self.inner.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
