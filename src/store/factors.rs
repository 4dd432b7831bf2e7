//! The contract about second factors.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{Factors, PasskeyRecord, TotpRecord, User, UserId};
use crate::secret::TokenHash;

/// What a change of the ways in ends: all of the person's sessions but `keep`, each with a revocation that lasts `until`, their
/// access tokens, and mailed secrets that open anything. Nothing from before a factor was switched on opens anything
/// afterwards, and nothing that was opened by a link that is gone.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// The session in which the change is made. When it has ended by then, nothing is changed: whoever made it was thrown out
    /// after the guard had let them pass.
    pub keep: Option<&'a TokenHash>,
    /// How long the revocations last.
    pub until: Timestamp,
}

/// What came of adding a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PasskeyAdded {
    /// It is there now.
    Added,
    /// Somebody has it already, the person has as many as are allowed, or the session it is done from has ended; nothing was
    /// changed.
    Refused,
}

/// Second factors.
#[async_trait]
pub trait FactorStore: Send + Sync {
    /// Everything a person has.
    async fn find_factors(&self, user: &UserId) -> Result<Factors, Error>;
    /// Switches time-based codes on (or replaces their secret) and, in the same act, replaces the recovery codes (unless
    /// `recovery` is empty) and ends sessions. `false` when there is no such user, or the session it is done from has ended.
    async fn enable_totp(
        &self,
        user: &UserId,
        totp: &TotpRecord,
        recovery: &[TokenHash],
        ends: Ends<'_>,
    ) -> Result<bool, Error>;
    /// Accepts the code of `step` if no code of it or of a later one was accepted before: of parallel calls with one
    /// step, and of all later ones, exactly one answers `true`.
    async fn accept_totp_step(&self, user: &UserId, step: i64) -> Result<bool, Error>;
    /// Up to `limit` people with time-based codes and their sealed secrets, in the order of their ids, those after `after`.
    async fn list_totp(&self, after: &str, limit: u32) -> Result<Vec<(UserId, String)>, Error>;
    /// Puts a newly sealed secret in the place of `old`, if that is still there.
    async fn reseal_totp(&self, user: &UserId, old: &str, new: &str) -> Result<bool, Error>;
    /// Switches time-based codes off and, in the same act, ends sessions; with the last factor the recovery codes go, too.
    /// `false` when they were off.
    async fn remove_totp(&self, user: &UserId, ends: Ends<'_>) -> Result<bool, Error>;
    /// Replaces the recovery codes, from the session `from`. `false` when that has ended.
    async fn replace_recovery_codes(
        &self,
        user: &UserId,
        from: &TokenHash,
        codes: &[TokenHash],
    ) -> Result<bool, Error>;
    /// Whether a recovery code is one of this person's. It is not used up.
    async fn has_recovery_code(&self, user: &UserId, code: &TokenHash) -> Result<bool, Error>;
    /// Uses a recovery code up: of parallel calls exactly one answers `true`.
    async fn spend_recovery_code(&self, user: &UserId, code: &TokenHash) -> Result<bool, Error>;
    /// Adds a passkey unless its id exists or the person has `most` of them, and in the same act replaces the recovery
    /// codes (unless `recovery` is empty) and ends sessions.
    async fn add_passkey(
        &self,
        passkey: &PasskeyRecord,
        most: u32,
        recovery: &[TokenHash],
        ends: Ends<'_>,
    ) -> Result<PasskeyAdded, Error>;
    /// A passkey and its owner.
    async fn find_passkey(&self, id: &TokenHash) -> Result<Option<(PasskeyRecord, User)>, Error>;
    /// Notes a use: the verifier's new state, and when. `false` when it is gone.
    async fn use_passkey(&self, id: &TokenHash, credential: &str, now: Timestamp) -> Result<bool, Error>;
    /// Removes a passkey of this person and, in the same act, ends sessions; with the last factor the recovery codes go,
    /// too. `false` when it is not theirs or is gone.
    async fn remove_passkey(&self, user: &UserId, id: &TokenHash, ends: Ends<'_>) -> Result<bool, Error>;
    /// Removes every factor of a person: for somebody whose account turned out to be another's, and for an administrator
    /// whom a person asked for help. Ends all sessions but `keep`.
    async fn remove_factors(&self, user: &UserId, ends: Ends<'_>) -> Result<(), Error>;
    /// Uses something up that is good for one use: of all calls with one key exactly one answers `true`, until it expires.
    async fn spend(&self, key: &TokenHash, expires_at: Timestamp) -> Result<bool, Error>;
    /// Deletes up to `limit` notes of what was used and expired before `before`, oldest first. How many were deleted.
    async fn delete_spent(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
