//! Signing in by e-mail: a link, or the code in the same mail.
//!
//! # What an attacker learns
//! Asking for a link does the same and answers the same for an address that has an account, one that has none, and one
//! that is disabled; only the mailbox knows. So the host's `sign_in` hook is asked when the link is used and not, as
//! NextAuth does, before it is mailed.
//!
//! # What a link leads to is known before it is used up
//! The host is asked about whoever reads the address *as they will be* once the link is redeemed: a newcomer, an owner, or the
//! owner who shuts somebody out. Only then it is redeemed, and only if that is still so. A hook that refuses or fails
//! therefore leaves the link, and everybody's account, as they were.
//!
//! # Whose account it is
//! Whoever uses the link reads the address. If its account had never proven the address, somebody may have made it in
//! advance for this moment: the password and the sessions of before are gone, and the owner is told.

use super::enter::{Entered, Entry as Way, Standing};
use super::errors::SignInError;
use super::hooks::Event;
use super::limits::LimitHit;
use super::mailing::{MAILED_LIFE, Secret};
use super::service::{Client, SignIn, failure_code};
use crate::audit::{AuditEvent, Entry};
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{
    AuthMethod, Email, MailedCode, NewUser, Purpose, SecurityStamp, User, UserId, Verification,
};
use crate::providers::Identity;
use crate::secret::{PlainToken, ShortCode, TokenHash};
use crate::session::SessionData;
use crate::store::{Redeemed, Redemption};

/// Tries of one code; then it is dead, right or wrong (ASVS 5.0, 6.6.3).
const CODE_TRIES: i64 = 5;

/// Somebody asks for a link.
#[derive(Debug)]
pub struct LinkRequest<'a> {
    /// The address as typed.
    pub email: &'a str,
    /// Where the person wants to go, validated.
    pub callback_url: &'a str,
    /// The language of the mail.
    pub language: &'a str,
    /// Where from.
    pub client: &'a Client,
}

/// What proves that somebody reads an address.
pub enum MailedProof<'a> {
    /// The link was followed, and its page's button pressed.
    Link {
        /// The address in the link.
        email: &'a str,
        /// The secret in the link.
        token: &'a str,
    },
    /// The code was typed.
    Code {
        /// What the browser that asked for it keeps.
        browser: Option<&'a str>,
        /// The code as typed.
        code: &'a str,
    },
}

impl std::fmt::Debug for MailedProof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Link { .. } => "Link([redacted])",
            Self::Code { .. } => "Code([redacted])",
        })
    }
}

/// Somebody signs in by mail.
pub struct EmailSignIn<'a> {
    /// By what.
    pub proof: MailedProof<'a>,
    /// The language of what is mailed about it.
    pub language: &'a str,
    /// Where from.
    pub client: Client,
    /// The session this browser had, which ends when the new one begins.
    pub replaces: Option<&'a SessionData>,
}

impl std::fmt::Debug for EmailSignIn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailSignIn").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Who signed in by mail.
#[derive(Debug)]
pub struct EnteredByEmail {
    /// What they get.
    pub entered: Entered,
    /// Whether their account was made just now.
    pub is_new: bool,
}

impl SignIn {
    /// Mails a link and a code. The answer is what the browser keeps to be able to use the code.
    ///
    /// # Errors
    /// [`SignInError`]; no mail is sent then.
    pub async fn send_link(&self, request: LinkRequest<'_>) -> Result<PlainToken, SignInError> {
        if !self.mailing()?.rules.enabled {
            return Err(SignInError::NoMail);
        }
        let email = Email::parse(request.email).map_err(|_| SignInError::Email)?;
        self.counted(&email, request.client, self.write_link(&email, &request)).await
    }

    async fn write_link(&self, email: &Email, request: &LinkRequest<'_>) -> Result<PlainToken, SignInError> {
        let rules = &self.mailing()?.rules;
        let found = self.store.find_user_by_email(email).await?;
        let user = found.as_ref().map(|found| &found.user);
        let for_nobody = user.map_or(!rules.sign_up, |user| user.disabled_at.is_some());
        let browser = PlainToken::generate()?;
        self.mail_secret(Secret {
            purpose: Purpose::SignIn,
            kind: LetterKind::SignIn,
            email,
            user_id: user.map(|user| &user.id),
            language: request.language,
            page: "callback/email",
            callback_url: Some(request.callback_url),
            browser: Some(&browser),
            for_nobody,
        })
        .await?;
        Ok(browser)
    }

    /// Signs in by what was mailed.
    ///
    /// # Errors
    /// [`SignInError`]; no session was begun then.
    pub async fn by_email(&self, request: EmailSignIn<'_>) -> Result<EnteredByEmail, SignInError> {
        let email = match request.proof {
            MailedProof::Link { email, .. } => Email::parse(email).ok(),
            MailedProof::Code { .. } => None,
        };
        let address = request.client.address;
        let outcome = self.try_email(&request).await;
        if let Err(error) = &outcome
            && let Some(code) = failure_code(error)
        {
            let method = AuthMethod::Email;
            self.tell(&Event::SignInFailed { email: email.as_ref(), code, address, method, federated: None })
                .await;
        }
        outcome
    }

    async fn try_email(&self, request: &EmailSignIn<'_>) -> Result<EnteredByEmail, SignInError> {
        if !self.signs_in_by_email() {
            return Err(SignInError::NoMail);
        }
        match request.proof {
            MailedProof::Link { email, token } => {
                let email = Email::parse(email).map_err(|_| SignInError::Verification)?;
                let token = PlainToken::parse(token).ok_or(SignInError::Verification)?;
                self.enter_by_mail(&Verification::id_of(Purpose::SignIn, &email, &token), request).await
            }
            MailedProof::Code { browser, code } => {
                let id = self.check_mailed_code(browser, code).await?;
                let entered = self.enter_by_mail(&id, request).await;
                if entered.is_err() {
                    // The code was right: it was no guess, and can be typed again.
                    self.limits.take_back_code(id).await;
                }
                entered
            }
        }
    }

    async fn enter_by_mail(
        &self,
        id: &TokenHash,
        request: &EmailSignIn<'_>,
    ) -> Result<EnteredByEmail, SignInError> {
        let reader = self.reader_of(id).await?;
        let is_new = reader.newcomer.is_some();
        let identity = Identity {
            user: reader.user.clone(),
            method: AuthMethod::Email,
            provider: "email".to_owned(),
            profile: None,
        };
        let entry = Way { client: &request.client, replaces: request.replaces };
        let settle = self.redeem(id, &reader, request.language);
        let entered = self.enter_and(&identity, reader.standing, entry, settle).await?;
        Ok(EnteredByEmail { entered, is_new })
    }

    /// Who reads the address that a secret was mailed to, as they will be once it is redeemed.
    async fn reader_of(&self, id: &TokenHash) -> Result<Reader, SignInError> {
        let mailing = self.mailing()?;
        let now = mailing.now();
        let mailed = self.store.find_verification(id, Purpose::SignIn).await?;
        let mailed = mailed.filter(|mailed| now < mailed.expires_at).ok_or(SignInError::Verification)?;
        let holder = self.store.find_user_by_email(&mailed.email).await?.map(|found| found.user);
        match (holder, mailed.user_id) {
            (None, None) if mailing.rules.sign_up => Reader::newcomer(mailed.email, now),
            // One answer, whatever it was: nobody may be made, somebody is disabled, or the address was another user's.
            (None, _) => Err(SignInError::Verification),
            (Some(user), owner)
                if owner.as_ref().is_some_and(|owner| *owner != user.id) || user.disabled_at.is_some() =>
            {
                Err(SignInError::Verification)
            }
            (Some(user), _) => Ok(Reader::of(user, now)),
        }
    }

    /// The secret a code stands for. Every look at a code is counted first, so that parallel guesses cannot overtake
    /// the count.
    async fn check_mailed_code(&self, browser: Option<&str>, code: &str) -> Result<TokenHash, SignInError> {
        let browser = browser.and_then(PlainToken::parse).ok_or(SignInError::WrongCode)?;
        let code = ShortCode::parse(code).ok_or(SignInError::WrongCode)?;
        let now = self.mailing()?.now();
        let attempt = self.store.count_code_attempt(&browser.hash(), Purpose::SignIn, now).await?;
        let attempt = attempt.ok_or(SignInError::WrongCode)?;
        if attempt.attempts > CODE_TRIES {
            return Err(SignInError::Limited(LimitHit { retry_after: MAILED_LIFE }));
        }
        let expected = MailedCode::of(Purpose::SignIn, &attempt.email, &browser, &code).hash;
        if expected.same(&attempt.code) { Ok(attempt.id) } else { Err(SignInError::WrongCode) }
    }

    async fn redeem(&self, id: &TokenHash, reader: &Reader, language: &str) -> Result<(), SignInError> {
        let revoke_until = self.sessions.revocation_end();
        let redemption = Redemption {
            id,
            now: self.mailing()?.now(),
            newcomer: reader.newcomer.as_ref(),
            user: &reader.user.id,
            stamp: reader.user.security_stamp,
            revoke_until,
        };
        match self.store.redeem_sign_in(&redemption).await? {
            Redeemed::User { user, is_new, evicted } => {
                if is_new {
                    self.tell(&Event::SignedUp { user: &user }).await;
                }
                if let Some(ended) = evicted {
                    tracing::warn!(user = %user.id, "who held an address without having proven it was shut out");
                    self.sessions.note_ended(&ended, revoke_until)?;
                    self.sessions.forget_user(&user.id);
                    self.audit.record(Entry::new(AuditEvent::OwnerArrived).user(&user.id)).await;
                    self.notify(LetterKind::OwnerArrived, &user.email, language);
                }
                Ok(())
            }
            // One answer, whatever it was. What ended their sessions meanwhile has ended this sign-in, too.
            Redeemed::Unknown | Redeemed::Refused | Redeemed::Overtaken => Err(SignInError::Verification),
        }
    }
}

/// Whoever reads an address, as they will be once what was mailed to it is redeemed.
struct Reader {
    user: User,
    newcomer: Option<NewUser>,
    standing: Standing,
}

impl Reader {
    fn newcomer(email: Email, now: Timestamp) -> Result<Self, SignInError> {
        let id = UserId::generate()?;
        let user = User {
            id: id.clone(),
            email: email.clone(),
            name: None,
            image: None,
            email_verified_at: Some(now),
            disabled_at: None,
            created_at: now,
            security_stamp: SecurityStamp::default(),
        };
        let newcomer = NewUser { id, email, name: None, password_hash: None, created_at: now };
        Ok(Self { user, newcomer: Some(newcomer), standing: Standing::Fresh })
    }

    /// Somebody who has an account. One that had never proven the address loses whatever opened it.
    fn of(holder: User, now: Timestamp) -> Self {
        if holder.email_verified_at.is_some() {
            return Self { user: holder, newcomer: None, standing: Standing::Theirs };
        }
        let security_stamp = holder.security_stamp.next();
        let user = User { email_verified_at: Some(now), security_stamp, ..holder };
        Self { user, newcomer: None, standing: Standing::Fresh }
    }
}
