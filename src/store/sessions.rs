//! The contract about sessions.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{SecurityStamp, SessionRecord, User, UserId};
use crate::secret::TokenHash;

/// What came of adding a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// The session exists now.
    Inserted,
    /// The user is gone, disabled, or their stamp is another by now; nothing was added.
    UserChanged,
}

/// The session that a new one takes the place of.
#[derive(Debug, Clone, Copy)]
pub struct Replaced {
    /// The old session.
    pub id: TokenHash,
    /// Until when it must be remembered as ended.
    pub revoke_until: Timestamp,
}

/// Sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Adds a session. Fails on an id that exists (256 random bits do not collide: it is a fault, and never replaces
    /// a row). Adds nothing when the user does not exist, is disabled, or has another stamp than the sign-in saw
    /// ([`Inserted::UserChanged`]): of a sign-in and an act that ends sessions one comes first, and if that is the act,
    /// the sign-in is over.
    ///
    /// The session it `replaces`, whose ever it is, ends in the same act as by [`Sessions::end_session`] without an
    /// owner: there is the new one or the old one, never both and never neither.
    async fn insert_session(
        &self,
        session: &SessionRecord,
        seen: SecurityStamp,
        replaces: Option<Replaced>,
    ) -> Result<Inserted, Error>;
    /// The session and its user in one query. The row is returned even when it is expired or its user disabled.
    async fn find_session(&self, id: &TokenHash) -> Result<Option<(SessionRecord, User)>, Error>;
    /// Moves the renewal and the expiry of a session that still exists, and only forward; never brings one back.
    /// `false` when the session is gone or was renewed at or after `renewed_at`.
    async fn renew_session(
        &self,
        id: &TokenHash,
        renewed_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, Error>;
    /// The user's sessions, most recently used first.
    async fn list_sessions(&self, user: &UserId) -> Result<Vec<SessionRecord>, Error>;
    /// Ends one session for good: in one act, deletes its row (only if it belongs to `owner`, when given) and adds a
    /// [`Subject::Session`] revocation until `revoke_until`. With `owner` given and no row of that owner: nothing
    /// happens and the answer is `false`. Without `owner` the revocation is added even when there is no row, because a
    /// token minted by another issuer has none.
    async fn end_session(
        &self,
        id: &TokenHash,
        owner: Option<&UserId>,
        revoke_until: Timestamp,
    ) -> Result<bool, Error>;
    /// Ends all sessions of a user but `keep`, each as [`Sessions::end_session`] does, and moves the user's stamp on, in
    /// one act. Which ended.
    async fn end_sessions_of(
        &self,
        user: &UserId,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<Vec<TokenHash>, Error>;
    /// Ends those of a user's sessions that were renewed least recently, each as [`Sessions::end_session`] does, so that `most`
    /// are left, `keep` among them; a thousand at a time. Which ended. The user's stamp stays as it is: nobody is thrown out
    /// by this who is about to come in.
    async fn end_oldest_sessions(
        &self,
        user: &UserId,
        keep: &TokenHash,
        most: u32,
        revoke_until: Timestamp,
    ) -> Result<Vec<TokenHash>, Error>;
    /// Deletes up to `limit` rows that expired before `before`, oldest first. How many were deleted.
    async fn delete_expired_sessions(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
