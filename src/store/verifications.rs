//! The contract about what is mailed to prove an address.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{Email, NewUser, Purpose, SecurityStamp, User, UserId, Verification};
use crate::secret::TokenHash;

/// A code is looked at: what it must be, and how often it was tried, this time included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeAttempt {
    /// The key of the row.
    pub id: TokenHash,
    /// The address the code was mailed to.
    pub email: Email,
    /// The hash of the right code.
    pub code: TokenHash,
    /// Tries so far.
    pub attempts: i64,
}

/// Somebody redeems a mailed sign-in.
#[derive(Debug)]
pub struct Redemption<'a> {
    /// The key of the row.
    pub id: &'a TokenHash,
    /// When.
    pub now: Timestamp,
    /// The user to make when the address has none; its address is replaced by the one that was proven. `None` when
    /// nobody may be made.
    pub newcomer: Option<&'a NewUser>,
    /// Whose the address will be by this, as it was foreseen: the newcomer, or who has it.
    pub user: &'a UserId,
    /// Their stamp once it is redeemed, as it was foreseen: it moves on when somebody is shut out.
    pub stamp: SecurityStamp,
    /// Until when sessions that end by this are remembered as revoked.
    pub revoke_until: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Redeemed {
    /// No such secret: wrong, used, expired, or of a user whose address is another by now.
    Unknown,
    /// The address is proven, but its user is disabled, or there is none and none may be made.
    Refused,
    /// It would be another user's, or one whose proofs have changed, than was foreseen: nothing was redeemed.
    Overtaken,
    /// This user reads the address.
    User {
        /// Who.
        user: User,
        /// Whether the user was made just now.
        is_new: bool,
        /// The sessions of somebody who had not proven the address and was shut out, when there was somebody: their
        /// password is gone too.
        evicted: Option<Vec<TokenHash>>,
    },
}

/// What came of changing an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum EmailChange {
    /// No such secret of this user.
    Unknown,
    /// Somebody else has the new address by now; nothing was changed.
    Taken,
    /// The address is changed.
    Changed {
        /// The former address.
        old: Email,
        /// The address from now on.
        new: Email,
        /// The sessions that ended.
        ended: Vec<TokenHash>,
    },
}

/// Mailed secrets. Each is redeemed by one act that deletes it and does what it is for: of parallel redemptions exactly
/// one finds it.
#[async_trait]
pub trait Verifications: Send + Sync {
    /// Keeps a secret.
    async fn add_verification(&self, verification: &Verification) -> Result<(), Error>;
    /// The secret under this key that is for `purpose`, expired or not. Nothing is redeemed.
    async fn find_verification(
        &self,
        id: &TokenHash,
        purpose: Purpose,
    ) -> Result<Option<Verification>, Error>;
    /// What is pending for a user, oldest first.
    async fn list_verifications(&self, user: &UserId) -> Result<Vec<Verification>, Error>;
    /// Counts one try of the code that `browser` was promised, and tells what it must be; in one statement, so that of
    /// parallel tries each is told another number. `None` when there is no such code or it has expired at `now`.
    async fn count_code_attempt(
        &self,
        browser: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<CodeAttempt>, Error>;
    /// Takes one try back: the code was right, and came to nothing for another reason.
    async fn return_code_attempt(&self, id: &TokenHash) -> Result<(), Error>;
    /// Redeems a secret for [`Purpose::SignIn`]: the address is proven, and has a user from now on. A user who had never
    /// proven the address was made by who knows whom: password and sessions of before are gone.
    async fn redeem_sign_in(&self, redemption: &Redemption<'_>) -> Result<Redeemed, Error>;
    /// Redeems a secret for [`Purpose::VerifyEmail`] of this user, if the user still has that address.
    async fn redeem_verify_email(&self, id: &TokenHash, user: &UserId, now: Timestamp)
    -> Result<bool, Error>;
    /// Redeems a secret for [`Purpose::ResetPassword`]: replaces the password's hash, ends all sessions and access tokens
    /// of the user and forgets every other secret mailed to them. Nothing happens and the answer is `None` unless the user is enabled
    /// and still has the address it was mailed to, which is proven by this; otherwise the user and the sessions that
    /// ended are told.
    async fn redeem_reset_password(
        &self,
        id: &TokenHash,
        hash: &str,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<Option<(User, Vec<TokenHash>)>, Error>;
    /// Redeems a secret for [`Purpose::ChangeEmail`] of this user: the address it was mailed to becomes the user's and
    /// is proven; every session but `keep` and every access token ends, and every other secret mailed to the user is
    /// forgotten.
    async fn redeem_change_email(
        &self,
        id: &TokenHash,
        user: &UserId,
        keep: &TokenHash,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<EmailChange, Error>;
    /// Deletes up to `limit` secrets that expired before `before`, oldest first. How many were deleted.
    async fn delete_expired_verifications(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
