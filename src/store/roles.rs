//! The contract about roles, and about finding people.

use rocket::async_trait;

use super::Error;
use crate::clock::Timestamp;
use crate::model::{Email, Permission, User, UserId};

/// Roles.
#[async_trait]
pub trait Roles: Send + Sync {
    /// Gives a role. `false` when the user has it already or does not exist.
    async fn grant_role(&self, user: &UserId, role: &Permission, now: Timestamp) -> Result<bool, Error>;
    /// Takes a role. `false` when the user did not have it.
    async fn take_role(&self, user: &UserId, role: &Permission) -> Result<bool, Error>;
    /// The roles of a user, in order of name.
    async fn roles_of(&self, user: &UserId) -> Result<Vec<Permission>, Error>;
    /// Up to `limit` users whose address begins with `beginning`, in the order of its bytes, those after `after`. The cost
    /// does not grow with the number of users.
    async fn search_users(
        &self,
        beginning: &str,
        after: Option<&Email>,
        limit: u32,
    ) -> Result<Vec<User>, Error>;
}
