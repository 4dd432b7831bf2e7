//! Ending what somebody held who was not the owner.

use super::Sessions;
use crate::model::{DisplayName, NewAccount, SecurityStamp, UserId};
use crate::store::{self, Linked};

impl Sessions {
    /// Gives an account to the proven owner of its address, see [`crate::store::Accounts::take_over`].
    ///
    /// # Errors
    /// [`store::Error`]; everything is as before then.
    pub(crate) async fn take_over(
        &self,
        user: &UserId,
        seen: SecurityStamp,
        name: Option<&DisplayName>,
        account: &NewAccount,
    ) -> Result<Linked, store::Error> {
        let stored = self.store()?;
        let now = self.clock.now();
        let linked = stored.store.take_over(user, seen, name, account, now, self.last_moment(now)).await?;
        // It is done; that this process learns of it a second later is no failure.
        if linked == Linked::Linked
            && let Err(error) = self.refresh_revocations().await
        {
            tracing::warn!(%error, "revocations could not be read at once");
        }
        Ok(linked)
    }
}
