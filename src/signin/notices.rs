//! Telling people what was done to their accounts (ASVS 5.0, 6.3.7): whoever did it in their name cannot keep it from them.
//!
//! What was done is done: that its notice cannot be sent is no failure of it. So the address is looked up before, when
//! nothing has happened yet and the store may still say no; afterwards nothing is asked of it.

use super::service::SignIn;
use crate::mail::{Letter, LetterKind};
use crate::model::{Email, User};
use crate::session::SessionData;
use crate::store;

/// Whom to tell.
#[derive(Debug)]
pub(super) struct Owner<'a> {
    /// Nobody when no mail is sent here, or the account is gone.
    email: Option<Email>,
    language: &'a str,
}

impl<'a> Owner<'a> {
    /// The owner of this user's account.
    pub(super) fn of(user: &User, language: &'a str) -> Self {
        Self { email: Some(user.email.clone()), language }
    }
}

impl SignIn {
    /// The owner of the account of the person signed in, to be told of what is about to be done.
    ///
    /// # Errors
    /// [`store::Error`].
    pub(super) async fn owner<'a>(
        &self,
        session: &SessionData,
        language: &'a str,
    ) -> Result<Owner<'a>, store::Error> {
        if !self.can_mail() {
            return Ok(Owner { email: None, language });
        }
        // The address as it is now, and not what a token says it was.
        let user = self.store.find_user(&session.user_id).await?;
        Ok(user.map_or(Owner { email: None, language }, |user| Owner::of(&user, language)))
    }

    /// Tells the owner of an account.
    pub(super) fn notify_owner(&self, kind: LetterKind, owner: &Owner<'_>) {
        if let Some(email) = &owner.email {
            self.notify(kind, email, owner.language);
        }
    }

    /// Tells somebody what was done to their account.
    pub(super) fn notify(&self, kind: LetterKind, to: &Email, language: &str) {
        self.notify_by(Letter::new(kind, to.clone(), language));
    }

    /// Tells somebody what was done to their account, and about what: the name of another site, or a number.
    pub(super) fn notify_about(&self, kind: LetterKind, to: &Email, language: &str, about: String) {
        self.notify_by(Letter::new(kind, to.clone(), language).about(about));
    }

    fn notify_by(&self, letter: Letter) {
        let Some(mailing) = &self.mailing else {
            return;
        };
        let kind = letter.kind.as_str();
        if let Err(error) = mailing.queue.put(letter.at(mailing.now())) {
            tracing::error!(%error, kind, "a notice was not sent");
        }
    }
}
