//! Mail that goes nowhere and can be read: in tests, and in a debug build without SMTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::async_trait;
use tokio::sync::Notify;

use super::{Mail, MailError, Mailer};

/// The newest mails are kept, up to this many.
const KEPT: usize = 200;
/// How long [`CapturedMails::take`] waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps mails in memory instead of sending them; its clones share one box.
#[derive(Debug, Clone, Default)]
pub struct CapturedMails(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    mails: Mutex<VecDeque<Mail>>,
    arrived: Notify,
}

impl CapturedMails {
    /// All mails, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Mail> {
        self.lock().iter().cloned().collect()
    }

    /// Takes out the oldest mail to an address, waiting for one to arrive; `None` when none does in 20 seconds.
    pub async fn take(&self, to: &str) -> Option<Mail> {
        let wait = async {
            loop {
                let arrived = self.0.arrived.notified();
                tokio::pin!(arrived);
                // Registered before looking: what arrives in between is not missed.
                arrived.as_mut().enable();
                if let Some(mail) = self.try_take(to) {
                    return mail;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.ok()
    }

    /// Takes out the oldest mail to an address that is there now.
    #[must_use]
    pub fn try_take(&self, to: &str) -> Option<Mail> {
        let mut mails = self.lock();
        let at = mails.iter().position(|mail| mail.to.as_str() == to)?;
        mails.remove(at)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Mail>> {
        self.0.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mailer for CapturedMails {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        {
            let mut mails = self.lock();
            if mails.len() >= KEPT {
                mails.pop_front();
            }
            mails.push_back(mail.clone());
        }
        self.0.arrived.notify_waiters();
        Ok(())
    }
}
