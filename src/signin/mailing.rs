//! Mailing secrets: a link, and for signing in a code.
//!
//! # What is kept
//! The mail holds 256 random bits, the store their hash together with purpose and address. The code of eight digits
//! works in the browser that asked for it only: that browser keeps another 256 bits, without which the stored hash of
//! the code cannot be searched, and a stranger has nothing to try codes on.
//!
//! # How many at a time
//! A link is good for ten minutes and once. Whoever asks again gets another; the earlier one works until it ends by
//! itself or somebody signs in by one of them. The limit on mails per recipient bounds how many there are.

use std::sync::Arc;

use super::errors::SignInError;
use super::limits::Counted;
use super::service::{Client, SignIn};
use crate::audit::{AuditEvent, Entry};
use crate::clock::{Clock, Timestamp};
use crate::config::{EmailConfig, SiteUrl};
use crate::mail::{Letter, LetterKind, MailQueue};
use crate::model::{Email, MailedCode, Purpose, UserId, Verification};
use crate::secret::{PlainToken, ShortCode};
use crate::session::encode_component;

/// How long a mailed secret is good, seconds (ASVS 5.0, 6.5.5).
pub const MAILED_LIFE: i64 = 600;

/// What it takes to mail people.
#[derive(Debug, Clone)]
pub(crate) struct Mailing {
    pub(crate) queue: MailQueue,
    pub(crate) rules: EmailConfig,
    pub(crate) url: SiteUrl,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A secret to be mailed.
pub(super) struct Secret<'a> {
    pub(super) purpose: Purpose,
    pub(super) kind: LetterKind,
    pub(super) email: &'a Email,
    pub(super) user_id: Option<&'a UserId>,
    pub(super) language: &'a str,
    /// The page that redeems it, below the base path.
    pub(super) page: &'a str,
    pub(super) callback_url: Option<&'a str>,
    /// The browser that may use a code, when there is to be one.
    pub(super) browser: Option<&'a PlainToken>,
    /// Nobody gets the mail, and nobody can tell.
    pub(super) for_nobody: bool,
}

impl SignIn {
    /// With mail.
    #[must_use]
    pub(crate) fn with_mailing(self, mailing: Option<Mailing>) -> Self {
        Self { mailing, ..self }
    }

    /// Whether people can be written to.
    #[must_use]
    pub fn can_mail(&self) -> bool {
        self.mailing.is_some()
    }

    /// Whether people sign in by a link.
    #[must_use]
    pub fn signs_in_by_email(&self) -> bool {
        self.mailing.as_ref().is_some_and(|mailing| mailing.rules.enabled)
    }

    pub(super) fn mailing(&self) -> Result<&Mailing, SignInError> {
        self.mailing.as_ref().ok_or(SignInError::NoMail)
    }

    /// Counts a mail, then writes it. One that cannot be written, whoever it is for, does not count.
    pub(super) async fn counted<T>(
        &self,
        email: &Email,
        client: &Client,
        writing: impl Future<Output = Result<T, SignInError>> + Send,
    ) -> Result<T, SignInError> {
        let receipt = match self.limits.count_mail(email, client.address).await? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => {
                let entry = Entry::new(AuditEvent::LimitHit).email(Some(email)).address(client.address);
                self.audit.record(entry.detail("limit", "mail")).await;
                return Err(SignInError::Limited(hit));
            }
        };
        let written = writing.await;
        if written.is_err() {
            self.limits.take_back_later(receipt);
        }
        written
    }

    /// Keeps a secret and puts its letter into the queue. It does the same for everybody, whoever gets the mail.
    pub(super) async fn mail_secret(&self, secret: Secret<'_>) -> Result<(), SignInError> {
        let mailing = self.mailing()?;
        let now = mailing.clock.now();
        let token = PlainToken::generate()?;
        let code = ShortCode::generate()?;
        let mailed =
            secret.browser.map(|browser| MailedCode::of(secret.purpose, secret.email, browser, &code));
        let verification = Verification {
            id: Verification::id_of(secret.purpose, secret.email, &token),
            purpose: secret.purpose,
            email: secret.email.clone(),
            user_id: secret.user_id.cloned(),
            code: mailed,
            created_at: now,
            expires_at: now.plus(MAILED_LIFE),
        };
        self.store.add_verification(&verification).await?;
        let letter = Letter::new(secret.kind, secret.email.clone(), secret.language)
            .link(match secret.kind {
                LetterKind::AccountExists => mailing.url.origin.clone(),
                _ => mailing.link(&secret, &token),
            })
            .good_until(verification.expires_at)
            .for_nobody_if(secret.for_nobody);
        let letter = if secret.browser.is_some() { letter.code(code) } else { letter };
        // A minute is what the slowest letter may take when the mail server is away.
        mailing.queue.put(letter).map_err(|_| SignInError::Busy(60))
    }
}

impl Mailing {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Addresses come from the configured URL alone: no header of the request has a say.
    fn link(&self, secret: &Secret<'_>, token: &PlainToken) -> String {
        let callback = secret.callback_url.map(|url| format!("callbackUrl={}&", encode_component(url)));
        format!(
            "{}?{}token={}&email={}",
            self.url.base(secret.page),
            callback.unwrap_or_default(),
            token.expose(),
            encode_component(secret.email.as_str())
        )
    }
}
