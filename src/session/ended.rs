//! What ends many sessions at once, told to this process's own list.

use super::Sessions;
use crate::clock::Timestamp;
use crate::model::{Subject, UserId};
use crate::store;

impl Sessions {
    /// Takes what has just been ended in the store into this process's list. The act is done and stays done: where the store
    /// cannot be read at this moment the list learns of it a second later, or goes stale, and the act is no failure for that.
    pub(crate) async fn learn_of_ended(&self, user: &UserId) {
        self.forget_user(user);
        if let Err(error) = self.refresh_revocations().await {
            tracing::warn!(%error, "revocations could not be read at once");
        }
    }

    /// Until when a session that ends now must be remembered as revoked.
    #[must_use]
    pub fn revocation_end(&self) -> Timestamp {
        self.last_moment(self.clock.now())
    }

    /// Deletes a user and everything that is theirs; every session of theirs ends, wherever copies of it are kept.
    /// `false` when there is no such user.
    ///
    /// # Errors
    /// [`store::Error`]; nothing was deleted then.
    pub async fn delete_user(&self, user: &UserId) -> Result<bool, store::Error> {
        let stored = self.store()?;
        let (now, until) = (self.clock.now(), self.revocation_end());
        let deleted = stored.store.delete_user(user, now, until).await?;
        if deleted {
            stored.revocations.add(&Subject::User(user.clone()), now, until);
            self.forget_user(user);
        }
        Ok(deleted)
    }
}
