//! The contract about people.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{DisplayName, Email, NewUser, SecurityStamp, User, UserId};
use crate::secret::TokenHash;

/// What came of creating a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// The user exists now.
    Created,
    /// Somebody has that address already; nothing was changed.
    EmailTaken,
}

/// A user together with the password's hash in PHC string format, for the one place that verifies passwords.
#[derive(Clone)]
pub struct UserWithPassword {
    /// The user.
    pub user: User,
    /// The hash, unless the user has no password.
    pub password_hash: Option<String>,
}

impl std::fmt::Debug for UserWithPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserWithPassword").field("user", &self.user).finish_non_exhaustive()
    }
}

/// People and their passwords.
#[async_trait]
pub trait Users: Send + Sync {
    /// Creates a user unless the address is taken; of parallel calls with one address exactly one creates.
    async fn create_user(&self, user: &NewUser) -> Result<Created, Error>;
    /// Finds a user by id.
    async fn find_user(&self, id: &UserId) -> Result<Option<User>, Error>;
    /// Finds a user and the password's hash by canonical address.
    async fn find_user_by_email(&self, email: &Email) -> Result<Option<UserWithPassword>, Error>;
    /// Replaces the hash `old` of a password by a stronger one of the same password. `false` when the user is gone or
    /// has another password by now.
    async fn strengthen_hash(&self, id: &UserId, old: &str, new: &str) -> Result<bool, Error>;
    /// Replaces the password's hash and, in the same act, ends every session of the user but `keep`, as
    /// [`Sessions::end_sessions_of`] does, and with them every access token and every mailed secret that opens anything.
    /// Which sessions ended; `None` when there is no such user, or their stamp is not `seen` any more.
    async fn change_password(
        &self,
        id: &UserId,
        hash: &str,
        seen: SecurityStamp,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<Option<Vec<TokenHash>>, Error>;
    /// Replaces the display name. `false` when there is no such user.
    async fn set_name(&self, id: &UserId, name: Option<&DisplayName>) -> Result<bool, Error>;
    /// Disables a user at `now`: in one act, sets `disabled_at`, deletes the user's sessions, access tokens and mailed
    /// secrets that open anything, and adds a [`Subject::User`] revocation with `not_after = now` that lasts until
    /// `revoke_until`. `false` when there is no such user; disabling twice is no error.
    async fn disable_user(&self, id: &UserId, now: Timestamp, revoke_until: Timestamp)
    -> Result<bool, Error>;
    /// Lets a disabled user sign in again; what was ended stays ended. `false` when there is no such user.
    async fn enable_user(&self, id: &UserId) -> Result<bool, Error>;
    /// Deletes a user and everything that is theirs, for good: in one act, ends all sessions as
    /// [`Sessions::end_sessions_of`] does, adds a [`Subject::User`] revocation with `not_after = now`, and deletes the
    /// row with all that refers to it. `false` when there is no such user.
    ///
    /// [`Sessions::end_sessions_of`]: super::Sessions::end_sessions_of
    /// [`Subject::User`]: crate::model::Subject::User
    async fn delete_user(&self, id: &UserId, now: Timestamp, revoke_until: Timestamp) -> Result<bool, Error>;
    /// Up to `limit` users in order of address, those after `after`.
    async fn list_users(&self, after: Option<&Email>, limit: u32) -> Result<Vec<User>, Error>;
}
