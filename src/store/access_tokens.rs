//! The contract about personal access tokens.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{AccessTokenRecord, User, UserId};
use crate::secret::TokenHash;

/// Personal access tokens.
#[async_trait]
pub trait AccessTokens: Send + Sync {
    /// Adds a token unless its owner is gone or disabled, or has `most` of them, or the session it is made `from` has ended.
    /// Whether it was added.
    async fn insert_access_token(
        &self,
        token: &AccessTokenRecord,
        from: Option<&TokenHash>,
        most: u32,
    ) -> Result<bool, Error>;
    /// A token and its owner. The row is returned even when it is expired or its owner disabled.
    async fn find_access_token(&self, id: &TokenHash) -> Result<Option<(AccessTokenRecord, User)>, Error>;
    /// A user's tokens, newest first.
    async fn list_access_tokens(&self, user: &UserId) -> Result<Vec<AccessTokenRecord>, Error>;
    /// Notes a use, unless a later one is noted.
    async fn use_access_token(&self, id: &TokenHash, now: Timestamp) -> Result<(), Error>;
    /// Deletes a token of this user. `false` when it is not theirs or is gone.
    async fn delete_access_token(&self, user: &UserId, id: &TokenHash) -> Result<bool, Error>;
    /// Deletes up to `limit` tokens that expired before `before`, oldest first. How many were deleted.
    async fn delete_expired_access_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
