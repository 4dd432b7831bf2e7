//! The contract about accounts at other sites.

use rocket::async_trait;

use super::{Ends, Error};
use crate::clock::Timestamp;
use crate::model::{
    DisplayName, ExternalId, LinkedAccount, NewAccount, NewUser, SecurityStamp, User, UserId,
};
use crate::secret::TokenHash;

/// What came of linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Linked {
    /// The account is linked now.
    Linked,
    /// Somebody has the address already; nothing was changed.
    AddressTaken,
    /// The account there belongs to somebody already; nothing was changed.
    AccountTaken,
    /// The user is gone, disabled, or no longer what the decision was made on; nothing was changed.
    NoSuchUser,
}

/// What came of unlinking.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Unlinked {
    /// The link is gone, and these sessions with it.
    Unlinked(Vec<TokenHash>),
    /// The user has no such link.
    NotFound,
    /// It is the last way in; nothing was changed.
    LastWayIn,
}

/// A user's tokens at a provider, sealed as they were stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTokens {
    /// The link they belong to.
    pub account: String,
    /// The sealed text.
    pub sealed: String,
}

impl std::fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedTokens").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Accounts at other sites.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The link of somebody at another site, and the user it opens, disabled or not.
    async fn find_account(&self, external: &ExternalId) -> Result<Option<(LinkedAccount, User)>, Error>;
    /// The user's links, oldest first.
    async fn list_accounts(&self, user: &UserId) -> Result<Vec<LinkedAccount>, Error>;
    /// Creates a user and links the account, both or neither. `proven` is when the address was proven, if it was.
    async fn create_user_with_account(
        &self,
        user: &NewUser,
        proven: Option<Timestamp>,
        image: Option<&str>,
        account: &NewAccount,
    ) -> Result<Linked, Error>;
    /// Links an account to a user who exists and is not disabled. Of parallel calls with one account exactly one links.
    async fn link_account(&self, user: &UserId, account: &NewAccount) -> Result<Linked, Error>;
    /// The owner of an address arrives at an account whose holder never proved that address. In one act: the password,
    /// every second factor, every link and every session of the holder end (revoked until `revoke_until`), the address is proven as of `now`,
    /// the name becomes `name`, the owner's account is linked, and the stamp moves on by one. [`Linked::NoSuchUser`] when
    /// the address was proven meanwhile, the stamp is not `seen` any more, or the user is gone or disabled.
    async fn take_over(
        &self,
        user: &UserId,
        seen: SecurityStamp,
        name: Option<&DisplayName>,
        account: &NewAccount,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<Linked, Error>;
    /// Removes a user's link unless it is the last way in: without a password, a passkey, another link, or
    /// `other_way`, nothing happens. Of two parallel calls about the last two links one succeeds. Whoever held the account
    /// there may have come in by it: in the same act ends what `ends` says.
    async fn unlink_account(
        &self,
        user: &UserId,
        account: &str,
        other_way: bool,
        ends: Ends<'_>,
    ) -> Result<Unlinked, Error>;
    /// Keeps the tokens of a sign-in that has just happened, whoever holds the lease. `false` when the link is gone.
    async fn keep_tokens(&self, account: &str, sealed: &str) -> Result<bool, Error>;
    /// The tokens of the user's oldest link at this provider that has any.
    async fn find_tokens(&self, user: &UserId, provider: &str) -> Result<Option<SealedTokens>, Error>;
    /// Takes the lease of a link's tokens from `now` until `until`, and tells the tokens as they stand at that moment.
    /// `None` when another holds it: of parallel calls, on any instance, exactly one gets it.
    async fn lease_tokens(
        &self,
        account: &str,
        lease: &TokenHash,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<String>, Error>;
    /// Stores renewed tokens and gives the lease back. `false` when the lease is no longer `lease`: somebody else's
    /// tokens are newer, and stay.
    async fn renew_tokens(&self, account: &str, lease: &TokenHash, sealed: &str) -> Result<bool, Error>;
    /// Up to `limit` links that keep tokens, in the order of their ids, those after `after`.
    async fn list_tokens(&self, after: &str, limit: u32) -> Result<Vec<SealedTokens>, Error>;
    /// Puts newly sealed tokens in the place of `old`, if those are still there. Whoever holds the lease keeps it.
    async fn reseal_tokens(&self, account: &str, old: &str, new: &str) -> Result<bool, Error>;
}
