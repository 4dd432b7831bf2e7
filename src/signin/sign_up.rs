//! Making an account, and changing one.
//!
//! # What an attacker learns
//! Sign-up with an address that is taken gives the very answer of one that was free, after the same work: the password
//! is hashed either way, and nobody is signed in by signing up. The person signs in next, with the password just
//! chosen; whoever does not know the password of a taken address is no wiser than at the sign-in form, and the attempts
//! there are limited.

use std::net::IpAddr;

use super::errors::{FieldError, SignInError, SignUpError};
use super::hooks::Event;
use super::limits::{Counted, network_of};
use super::mailing::Secret;
use super::service::{Client, SignIn};
use crate::audit::{AuditEvent, Entry};
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{DisplayName, Email, NewUser, Purpose, SecurityStamp, User, UserId};
use crate::providers::{Hasher, passwords};
use crate::secret::Password;
use crate::store::Created;

/// Somebody asks for an account.
#[derive(Debug)]
pub struct SignUp<'a> {
    /// The name to show, when given.
    pub name: Option<&'a str>,
    /// The address as typed.
    pub email: &'a str,
    /// The password as typed.
    pub password: Password,
    /// The language of the mail about it.
    pub language: &'a str,
    /// Where from.
    pub address: Option<IpAddr>,
}

impl SignIn {
    /// Makes an account unless the address is taken; which of the two it was is not told.
    ///
    /// # Errors
    /// [`SignUpError`]; no account was made then.
    pub async fn sign_up(&self, request: SignUp<'_>, now: Timestamp) -> Result<(), SignUpError> {
        let hasher = self.sign_up_hasher()?;
        let (name, email) = self.check_form(&request)?;
        let _turn = hasher.turn(&network_of(request.address))?;
        let receipt = match self.limits.count_sign_up(request.address).await? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => {
                self.audit.record(refusal(AuditEvent::LimitHit, &email).detail("limit", "sign_up")).await;
                return Err(SignUpError::Limited(hit));
            }
        };
        let made = self.make_account(hasher, (name, email), &request, now).await;
        if made.is_err() {
            // No account was made, so none is counted.
            self.limits.take_back_later(receipt);
        }
        made
    }

    async fn make_account(
        &self,
        hasher: &Hasher,
        (name, email): (Option<DisplayName>, Email),
        request: &SignUp<'_>,
        now: Timestamp,
    ) -> Result<(), SignUpError> {
        let hash = hasher.hash(&request.password).await?;
        let user = NewUser {
            id: UserId::generate()?,
            email: email.clone(),
            name: name.clone(),
            password_hash: Some(hash),
            created_at: now,
        };
        let created = self.store.create_user(&user).await?;
        self.write_to_newcomer(&user.email, created, request).await;
        match created {
            Created::Created => {
                let user = User {
                    id: user.id,
                    email: email.clone(),
                    name,
                    image: None,
                    email_verified_at: None,
                    disabled_at: None,
                    created_at: now,
                    security_stamp: SecurityStamp::default(),
                };
                self.tell(&Event::SignedUp { user: &user }).await;
            }
            Created::EmailTaken => {
                let entry = refusal(AuditEvent::SignUpFailed, &email).detail("code", "email_taken");
                self.audit.record(entry).await;
            }
        }
        Ok(())
    }

    /// Asks the address to be confirmed; its owner is told when there is an account already. Either way one mail goes, and
    /// the answer is the same. The account is made: a mail that cannot be sent, or one too many, is no failure of it.
    async fn write_to_newcomer(&self, email: &Email, created: Created, request: &SignUp<'_>) {
        if !self.can_mail() {
            return;
        }
        let client = Client { address: request.address, user_agent: None };
        let writing = self.try_write_to_newcomer(email, created, request.language);
        if let Err(error) = self.counted(email, &client, writing).await {
            tracing::warn!(%error, "a newcomer was not written to");
        }
    }

    async fn try_write_to_newcomer(
        &self,
        email: &Email,
        created: Created,
        language: &str,
    ) -> Result<(), SignInError> {
        let found = self.store.find_user_by_email(email).await?;
        let kind = match created {
            Created::Created => LetterKind::VerifyEmail,
            Created::EmailTaken => LetterKind::AccountExists,
        };
        self.mail_secret(Secret {
            purpose: Purpose::VerifyEmail,
            kind,
            email,
            user_id: found.as_ref().map(|found| &found.user.id),
            language,
            page: "verify-email",
            callback_url: None,
            browser: None,
            for_nobody: found.as_ref().is_some_and(|found| found.user.disabled_at.is_some()),
        })
        .await
    }

    /// Whether people may make accounts themselves.
    #[must_use]
    pub fn is_sign_up_open(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.sign_up)
    }

    fn sign_up_hasher(&self) -> Result<&Hasher, SignUpError> {
        let credentials = self.credentials.as_ref().filter(|_| self.is_sign_up_open());
        let closed = || SignUpError::Internal("sign-up is closed".to_owned());
        credentials.map(crate::providers::Credentials::hasher).ok_or_else(closed)
    }

    fn check_form(&self, request: &SignUp<'_>) -> Result<(Option<DisplayName>, Email), SignUpError> {
        let name = request.name.filter(|name| !name.is_empty()).map(DisplayName::parse).transpose();
        let email = Email::parse(request.email);
        let password = match &email {
            Ok(email) => passwords::check(&request.password, email, &self.site_name),
            Err(_) => passwords::check_alone(&request.password),
        };
        match (name, email, password) {
            (Ok(name), Ok(email), Ok(())) => Ok((name, email)),
            (name, email, password) => Err(SignUpError::Invalid(
                [
                    name.err().map(FieldError::Name),
                    email.err().map(FieldError::Email),
                    password.err().map(FieldError::Password),
                ]
                .into_iter()
                .flatten()
                .collect(),
            )),
        }
    }
}

/// An account that was not made.
fn refusal(event: AuditEvent, email: &Email) -> Entry {
    Entry::new(event).email(Some(email))
}
