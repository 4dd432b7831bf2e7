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
        if linked == Linked::Linked {
            self.learn_of_ended(user).await;
        }
        Ok(linked)
    }
}
