//! Whose account may be given a second factor.
//!
//! Whoever reads the mail of an address that nobody has confirmed gets the account that has it, and whoever held that account before
//! is disarmed: password, factors and all, because it may have been made in advance for this moment (see `email_link`).
//! A factor on such an account would stop everybody but the one it is there to stop, who has the mailbox for a minute. So the
//! address is confirmed first. Where no mail is sent nobody arrives by mail, and there is nothing to confirm an address by:
//! there a factor stands as it is.

use super::factors::FactorError;
use super::service::SignIn;
use crate::model::User;
use crate::session::SessionData;

/// Somebody whose account may be given a factor. Everything that gives one takes this, and [`SignIn::confirmed`] alone makes
/// it.
#[derive(Debug)]
pub(super) struct Confirmed(User);

impl Confirmed {
    /// Who.
    pub(super) const fn user(&self) -> &User {
        &self.0
    }
}

impl SignIn {
    /// Whether the person signed in must confirm their address before their account is given a factor.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn must_confirm_address(&self, session: &SessionData) -> Result<bool, FactorError> {
        match self.confirmed(session).await {
            Ok(_) => Ok(false),
            Err(FactorError::Unconfirmed) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The person signed in, if their account may be given a factor. An address that was confirmed stays so, whatever happens
    /// until the factor is there.
    ///
    /// # Errors
    /// [`FactorError::Unconfirmed`] when it may not.
    pub(super) async fn confirmed(&self, session: &SessionData) -> Result<Confirmed, FactorError> {
        let user = self.store.find_user(&session.user_id).await?.ok_or(FactorError::Expired)?;
        if self.can_mail() && user.email_verified_at.is_none() {
            return Err(FactorError::Unconfirmed);
        }
        Ok(Confirmed(user))
    }
}
