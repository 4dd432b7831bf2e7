//! Which way mail goes out, and the task that sends it while the program runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{CapturedMails, Compose, MailQueue, MailWorker, Mailer, Smtp};
use crate::clock::Clock;
use crate::config::{Config, MailTransport};

/// How long a process that ends waits for its last letters to be sent.
const DRAIN: Duration = Duration::from_secs(5);

/// What sends mail, if anything does.
pub(crate) struct WayOut {
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
    /// The box that a page shows when nothing is sent.
    pub(crate) outbox: Option<CapturedMails>,
}

impl WayOut {
    /// The application's own, the mail server, or in a debug build a box that a page shows.
    pub(crate) fn choose(config: &Config, own: Option<Arc<dyn Mailer>>) -> Result<Self, String> {
        if own.is_some() {
            return Ok(Self { mailer: own, outbox: None });
        }
        match &config.email.transport {
            MailTransport::Smtp(smtp) => {
                Ok(Self { mailer: Some(Arc::new(Smtp::of_site(smtp, &config.url)?)), outbox: None })
            }
            MailTransport::Outbox => {
                let outbox = CapturedMails::default();
                Ok(Self { mailer: Some(Arc::new(outbox.clone())), outbox: Some(outbox) })
            }
            MailTransport::None if config.email.enabled => {
                Err("`auth.providers.email.enabled` is true, but no mail can be sent: set \
                     `auth.providers.email.server` and `auth.providers.email.from`"
                    .to_owned())
            }
            MailTransport::None => Ok(Self { mailer: None, outbox: None }),
        }
    }
}

/// The queue of letters, and its worker.
pub(crate) struct Office {
    queue: MailQueue,
    worker: Mutex<Option<MailWorker>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Office {
    pub(crate) fn new(compose: Arc<dyn Compose>, mailer: Arc<dyn Mailer>, clock: Arc<dyn Clock>) -> Self {
        let (queue, worker) = MailQueue::new(compose, mailer, clock);
        Self { queue, worker: Mutex::new(Some(worker)), task: Mutex::default() }
    }

    pub(crate) fn queue(&self) -> MailQueue {
        self.queue.clone()
    }

    /// Begins to send. Twice is once.
    pub(crate) fn open(&self) {
        if let Some(worker) = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let task = tokio::spawn(worker.run());
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
    }

    /// Waits a moment for the last letters, and ends.
    pub(crate) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            self.queue.drain(DRAIN).await;
            task.abort();
        }
    }
}
