//! What ends many sessions at once, told to this process's own list.

use super::{SessionData, Sessions};
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

    /// Ends what a person has beyond `session.max_per_user`, but not the session that has just begun. How many ended.
    ///
    /// # Errors
    /// [`store::Error`]; all go on then.
    pub async fn end_oldest(&self, begun: &SessionData) -> Result<u64, store::Error> {
        let (stored, until) = (self.store()?, self.revocation_end());
        let most = self.ages().max_per_user;
        let ended = stored.store.end_oldest_sessions(&begun.user_id, &begun.id, most, until).await?;
        self.note_ended(&ended, until)?;
        Ok(ended.len() as u64)
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
