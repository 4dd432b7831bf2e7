//! The address of an account: confirming it, and changing it.
//!
//! A link proves that its reader reads the address; whose account it is about is proven by the session in the same
//! browser. Without the second, whoever registers somebody else's address would only have to wait for a careless click.

use super::account::{AccountError, own};
use super::errors::SignInError;
use super::mailing::Secret;
use super::service::{Client, SignIn};
use crate::audit::AuditEvent;
use crate::mail::LetterKind;
use crate::model::{Email, Purpose, Verification};
use crate::secret::PlainToken;
use crate::session::{Issued, SessionData};
use crate::store::EmailChange;

/// A link about an address, followed.
pub struct AddressLink<'a> {
    /// The address in the link.
    pub email: &'a str,
    /// The secret in the link.
    pub token: &'a str,
}

impl std::fmt::Debug for AddressLink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AddressLink([redacted])")
    }
}

impl AddressLink<'_> {
    fn id(&self, purpose: Purpose) -> Result<crate::secret::TokenHash, SignInError> {
        let email = Email::parse(self.email).map_err(|_| SignInError::Verification)?;
        let token = PlainToken::parse(self.token).ok_or(SignInError::Verification)?;
        Ok(Verification::id_of(purpose, &email, &token))
    }
}

impl SignIn {
    /// Mails a link that confirms the address of the person signed in; nothing when it is confirmed already.
    ///
    /// # Errors
    /// [`SignInError`]; no mail is sent then.
    pub async fn send_verification(
        &self,
        session: &SessionData,
        language: &str,
        client: &Client,
    ) -> Result<(), SignInError> {
        let user = self.store.find_user(&session.user_id).await?.ok_or(SignInError::Verification)?;
        if user.email_verified_at.is_some() {
            return Ok(());
        }
        let writing = self.mail_secret(Secret {
            purpose: Purpose::VerifyEmail,
            kind: LetterKind::VerifyEmail,
            email: &user.email,
            user_id: Some(&user.id),
            language,
            page: "verify-email",
            callback_url: None,
            browser: None,
            for_nobody: false,
        });
        self.counted(&user.email, client, writing).await
    }

    /// Confirms the address of the person signed in.
    ///
    /// # Errors
    /// [`SignInError::Verification`] unless the link is good and about this person.
    pub async fn confirm_email(
        &self,
        session: &SessionData,
        link: &AddressLink<'_>,
    ) -> Result<(), SignInError> {
        let id = link.id(Purpose::VerifyEmail)?;
        let now = self.mailing()?.now();
        let confirmed = self.store.redeem_verify_email(&id, &session.user_id, now).await?;
        if !confirmed {
            return Err(SignInError::Verification);
        }
        self.audit.record(own(AuditEvent::EmailVerified, session)).await;
        Ok(())
    }

    /// Mails a link to the address the person signed in wants to have. Whether somebody has it already is not told: its
    /// owner is.
    ///
    /// # Errors
    /// [`AccountError`]; no mail is sent then.
    pub async fn request_email_change(
        &self,
        session: &SessionData,
        email: &str,
        language: &str,
        client: &Client,
    ) -> Result<(), AccountError> {
        let email = Email::parse(email)?;
        let user = self.store.find_user(&session.user_id).await.map_err(SignInError::from)?;
        let user = user.ok_or(SignInError::Verification)?;
        let writing = async {
            let taken = self.store.find_user_by_email(&email).await?.is_some();
            self.mail_secret(Secret {
                purpose: Purpose::ChangeEmail,
                kind: if taken { LetterKind::AccountExists } else { LetterKind::ChangeEmail },
                email: &email,
                user_id: Some(&user.id),
                language,
                page: "change-email",
                callback_url: None,
                browser: None,
                for_nobody: email == user.email,
            })
            .await
        };
        Ok(self.counted(&email, client, writing).await?)
    }

    /// Changes the address of the person signed in to the one the link was mailed to, ends their other sessions, and
    /// tells the old address. The session shows the new address from now on: the answer is its new carrier, made before
    /// anything is stored, so that nothing can fail afterwards.
    ///
    /// # Errors
    /// [`AccountError`]; the address is as before then.
    pub async fn change_email(
        &self,
        session: &SessionData,
        presented: &str,
        link: &AddressLink<'_>,
        language: &str,
    ) -> Result<Issued, AccountError> {
        let id = link.id(Purpose::ChangeEmail)?;
        let now = self.mailing()?.now();
        let until = self.sessions.revocation_end();
        // The link opens nothing but with the address it was mailed to, so that is the new one.
        let address = Email::parse(link.email).map_err(|_| SignInError::Verification)?;
        let mut readdressed = session.clone();
        readdressed.email = Some(address.as_str().to_owned());
        readdressed.held.set("email", address.as_str());
        let issued = self.sessions.reissue(readdressed, presented).map_err(SignInError::from)?;
        let change = self.store.redeem_change_email(&id, &session.user_id, &session.id, now, until).await;
        let (old, ended) = match change.map_err(SignInError::from)? {
            EmailChange::Changed { old, ended, .. } => (old, ended),
            EmailChange::Unknown => return Err(SignInError::Verification.into()),
            EmailChange::Taken => return Err(AccountError::EmailTaken),
        };
        self.sessions.note_ended(&ended, until).map_err(SignInError::from)?;
        self.sessions.forget_user(&session.user_id);
        self.audit.record(own(AuditEvent::EmailChanged, session)).await;
        self.notify(LetterKind::EmailChanged, &old, language);
        Ok(issued)
    }
}
