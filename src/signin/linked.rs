//! Accounts at other sites that open somebody's account here: seeing and removing them.

use super::hooks::Event;
use super::service::SignIn;
use crate::mail::LetterKind;
use crate::model::{LinkedAccount, UserId};
use crate::providers::Provider;
use crate::session::SessionData;
use crate::store::{self, Ends, Unlinked};

impl SignIn {
    /// The accounts at other sites that open the account of the person signed in.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn linked_accounts(&self, user: &UserId) -> Result<Vec<LinkedAccount>, store::Error> {
        self.store.list_accounts(user).await
    }

    /// Whether somebody has an account at this site that opens theirs.
    ///
    /// # Errors
    /// [`store::Error`].
    pub(crate) async fn comes_from(&self, user: &UserId, provider: &Provider) -> Result<bool, store::Error> {
        let linked = self.store.list_accounts(user).await?;
        Ok(linked.iter().any(|account| account.external.provider == provider.config().id))
    }

    /// Removes a link, unless it is the last way in. A link by e-mail to an address that is proven is another. Every other
    /// session ends, by whichever way it began: an account is unlinked because nobody is trusted any more who has it, and whoever came
    /// in by it may have gone on from there.
    ///
    /// # Errors
    /// [`store::Error`]; the link is there then.
    pub async fn unlink(
        &self,
        session: &SessionData,
        account: &str,
        language: &str,
    ) -> Result<Unlinked, store::Error> {
        let id = &session.user_id;
        let linked = self.store.list_accounts(id).await?;
        let (Some(user), Some(linked)) =
            (self.store.find_user(id).await?, linked.into_iter().find(|linked| linked.id == account))
        else {
            return Ok(Unlinked::NotFound);
        };
        let by_mail = user.email_verified_at.is_some() && self.signs_in_by_email();
        let ends = Ends { keep: Some(&session.id), until: self.sessions.revoke_until() };
        let outcome = self.store.unlink_account(id, account, by_mail, ends).await?;
        if let Unlinked::Unlinked(ended) = &outcome {
            self.sessions.note_ended(ended, ends.until)?;
            self.sessions.forget_user(id);
            let provider = linked.external.provider.as_str();
            self.tell(&Event::AccountUnlinked { user: id, provider }).await;
            let known = self.federation().and_then(|federation| federation.find(provider));
            let name = known.map_or(provider, |known| known.config().name.as_str()).to_owned();
            self.notify_about(LetterKind::AccountUnlinked, &user.email, language, name);
        }
        Ok(outcome)
    }
}
