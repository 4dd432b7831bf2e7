//! A new password without the old one, and a first one.
//!
//! Choosing a password by a link ends every session, and signs nobody in: the person does that next, with whatever
//! second factor they have. A link is bound to the address it was mailed to, and dies when the account gets another.

use super::account::{AccountError, own};
use super::errors::SignInError;
use super::mailing::Secret;
use super::service::{Client, SignIn};
use crate::audit::{AuditEvent, Entry};
use crate::mail::LetterKind;
use crate::model::{Email, Purpose, Verification};
use crate::providers::passwords;
use crate::secret::{Password, PlainToken};
use crate::session::SessionData;

/// Somebody forgot a password.
#[derive(Debug)]
pub struct ResetRequest<'a> {
    /// The address as typed.
    pub email: &'a str,
    /// The language of the mail.
    pub language: &'a str,
    /// Where from.
    pub client: &'a Client,
}

/// Somebody chooses a new password by a link.
pub struct PasswordReset<'a> {
    /// The address in the link.
    pub email: &'a str,
    /// The secret in the link.
    pub token: &'a str,
    /// The new password.
    pub password: Password,
    /// The language of the notice.
    pub language: &'a str,
}

impl std::fmt::Debug for PasswordReset<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordReset([redacted])")
    }
}

impl SignIn {
    /// Whether people can choose a new password by a link.
    #[must_use]
    pub fn can_reset_passwords(&self) -> bool {
        self.can_mail() && self.credentials.is_some()
    }

    /// Mails a link to choose a new password with. Who has no account, or a disabled one, gets none, and nobody can
    /// tell.
    ///
    /// # Errors
    /// [`SignInError`]; no mail is sent then.
    pub async fn request_reset(&self, request: ResetRequest<'_>) -> Result<(), SignInError> {
        if !self.can_reset_passwords() {
            return Err(SignInError::NoMail);
        }
        let email = Email::parse(request.email).map_err(|_| SignInError::Email)?;
        self.counted(&email, request.client, self.write_reset(&email, request.language)).await
    }

    async fn write_reset(&self, email: &Email, language: &str) -> Result<(), SignInError> {
        let found = self.store.find_user_by_email(email).await?;
        let user = found.as_ref().map(|found| &found.user).filter(|user| user.disabled_at.is_none());
        self.mail_secret(Secret {
            purpose: Purpose::ResetPassword,
            kind: LetterKind::ResetPassword,
            email,
            user_id: user.map(|user| &user.id),
            language,
            page: "reset-password",
            callback_url: None,
            browser: None,
            for_nobody: user.is_none(),
        })
        .await
    }

    /// Replaces the password and ends every session. A password that breaks a rule does not use the link up.
    ///
    /// # Errors
    /// [`AccountError`]; password and sessions are as before then.
    pub async fn reset_password(&self, reset: PasswordReset<'_>) -> Result<(), AccountError> {
        let credentials = self.credentials.as_ref().ok_or(SignInError::NoMail)?;
        let now = self.mailing()?.now();
        let email = Email::parse(reset.email).map_err(|_| SignInError::Verification)?;
        let token = PlainToken::parse(reset.token).ok_or(SignInError::Verification)?;
        let id = Verification::id_of(Purpose::ResetPassword, &email, &token);
        // Asked before anything is hashed: a made-up link costs a look-up and no more.
        let pending = self.store.find_verification(&id, Purpose::ResetPassword).await;
        let pending = pending.map_err(SignInError::from)?;
        let is_good = pending.is_some_and(|found| found.user_id.is_some() && now < found.expires_at);
        if !is_good {
            return Err(SignInError::Verification.into());
        }
        passwords::check(&reset.password, &email, &self.site_name)?;
        let hash = credentials.hasher().hash(&reset.password).await.map_err(super::account::hash_error)?;
        let until = self.sessions.revocation_end();
        let done = self.store.redeem_reset_password(&id, &hash, now, until).await;
        let Some((user, ended)) = done.map_err(SignInError::from)? else {
            return Err(SignInError::Verification.into());
        };
        self.sessions.note_ended(&ended, until).map_err(SignInError::from)?;
        self.audit.record(Entry::new(AuditEvent::PasswordReset).user(&user.id)).await;
        self.notify(LetterKind::PasswordReset, &user.email, reset.language);
        Ok(())
    }

    /// Sets a password for somebody who has none, and ends their other sessions.
    ///
    /// # Errors
    /// [`AccountError`]; nothing was set then. Who has a password is told that the current one is wrong.
    pub async fn set_first_password(
        &self,
        session: &SessionData,
        password: &Password,
        language: &str,
    ) -> Result<(), AccountError> {
        let credentials = self.credentials.as_ref().ok_or(AccountError::WrongPassword)?;
        let user = self.store.find_user(&session.user_id).await.map_err(SignInError::from)?;
        let email = user.ok_or(AccountError::WrongPassword)?.email;
        let found = self.store.find_user_by_email(&email).await.map_err(SignInError::from)?;
        let without = found.filter(|found| found.user.id == session.user_id && found.password_hash.is_none());
        let seen = without.ok_or(AccountError::WrongPassword)?.user.security_stamp;
        passwords::check(password, &email, &self.site_name)?;
        let hash = credentials.hasher().hash(password).await.map_err(super::account::hash_error)?;
        let changed = self.sessions.change_password(session, &hash, seen).await.map_err(SignInError::from)?;
        if !changed {
            return Err(AccountError::WrongPassword);
        }
        self.audit.record(own(AuditEvent::PasswordChanged, session)).await;
        self.notify(LetterKind::PasswordChanged, &email, language);
        Ok(())
    }
}
