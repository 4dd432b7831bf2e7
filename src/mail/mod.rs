//! Mail: what is written to people, and how it is sent.
//!
//! A request puts a [`Letter`] into the [`MailQueue`] and answers; rendering and sending go on in the background. So a
//! request takes as long for an address that has an account as for one that has none, and no mail server keeps anybody
//! waiting. The queue is bounded and lives in memory: a letter holds a link that signs somebody in, and the database
//! keeps no such thing. What is still in the queue when a process is killed must be asked for again; docs/operations.md
//! tells what is tried again, and for how long.
//!
//! [`Mailer`] is the way out: SMTP as configured ([`Smtp`]), or in a debug build without SMTP, and in tests,
//! [`CapturedMails`], where it can be read:
//!
//! ```
//! use countersign::mail::{CapturedMails, Mail, Mailer};
//! use countersign::model::Email;
//!
//! # rocket::tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let captured = CapturedMails::default();
//! let to = Email::parse("ada@example.com").unwrap();
//! let text = "Sign in: https://app.example.com/api/auth/callback/email?token=x";
//! captured.send(&Mail::new(to, "Your link", text, "<p>…</p>")).await.unwrap();
//! let mail = captured.take("ada@example.com").await.unwrap();
//! assert_eq!(mail.link(), Some("https://app.example.com/api/auth/callback/email?token=x"));
//! # });
//! ```

mod captured;
mod letter;
mod office;
mod queue;
mod smtp;

use std::fmt;

use rocket::async_trait;

pub use captured::CapturedMails;
pub use letter::{Compose, ComposeError, Letter, LetterKind};
pub(crate) use office::{Office, WayOut};
pub use queue::{MailQueue, MailWorker, QueueFull};
pub use smtp::Smtp;

use crate::model::Email;

/// One mail to one person, ready to be sent. It may hold a link that signs that person in: it does not print.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// The one recipient.
    pub to: Email,
    /// The subject: one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

impl Mail {
    /// A mail. What would break the subject into lines becomes blanks.
    #[must_use]
    pub fn new(to: Email, subject: &str, text: impl Into<String>, html: impl Into<String>) -> Self {
        let subject = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { to, subject, text: text.into(), html: html.into() }
    }

    /// The first link in the text.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.text.split_whitespace().find(|word| word.starts_with("http://") || word.starts_with("https://"))
    }

    /// The code in the text: the first line of eight digits, which may be in two groups.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let digits = |line: &str| line.chars().filter(|c| *c != ' ').collect::<String>();
        let is_code = |line: &String| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit());
        self.text.lines().map(|line| digits(line.trim())).find(is_code)
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("to", &self.to).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a mail was not sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// It may work later: no connection, a busy server.
    #[error("the mail server cannot take the mail now: {0}")]
    Later(String),
    /// It will never work: the server refuses this recipient or this sender.
    #[error("the mail server refuses the mail: {0}")]
    Refused(String),
}

/// Sends mail. Hand one of your own to the fairing with [`Countersign::mailer`](crate::Countersign::mailer).
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Sends one mail to its one recipient.
    ///
    /// # Errors
    /// [`MailError`]; [`MailError::Later`] is tried again.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
