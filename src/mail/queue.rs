//! The bounded queue between a request and the mail server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{Compose, Letter, MailError, Mailer};
use crate::clock::Clock;

/// Letters that may wait.
const LENGTH: usize = 1024;
/// Letters that are sent at the same time.
const AT_ONCE: usize = 8;
/// How long to wait before each further try.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// No room in the queue: the mail server is away, or too many letters at once.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many letters are waiting to be sent")]
pub struct QueueFull;

/// Takes letters from requests.
#[derive(Debug, Clone)]
pub struct MailQueue {
    sender: mpsc::Sender<Letter>,
    pending: Arc<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    count: AtomicUsize,
    done: Notify,
}

/// Sends what the queue holds; give its [`run`](MailWorker::run) to a task.
#[derive(Debug)]
pub struct MailWorker {
    receiver: mpsc::Receiver<Letter>,
    pending: Arc<Pending>,
    desk: Arc<Desk>,
}

/// What it takes to send one letter.
#[derive(Debug)]
struct Desk {
    compose: Arc<dyn Compose>,
    mailer: Arc<dyn Mailer>,
    clock: Arc<dyn Clock>,
}

impl MailQueue {
    /// A queue and its worker.
    #[must_use]
    pub fn new(
        compose: Arc<dyn Compose>,
        mailer: Arc<dyn Mailer>,
        clock: Arc<dyn Clock>,
    ) -> (Self, MailWorker) {
        let (sender, receiver) = mpsc::channel(LENGTH);
        let pending = Arc::new(Pending::default());
        let desk = Arc::new(Desk { compose, mailer, clock });
        (Self { sender, pending: Arc::clone(&pending) }, MailWorker { receiver, pending, desk })
    }

    /// Puts a letter into the queue, at once.
    ///
    /// # Errors
    /// [`QueueFull`]; the letter is not sent then.
    pub fn put(&self, letter: Letter) -> Result<(), QueueFull> {
        self.pending.count.fetch_add(1, Ordering::SeqCst);
        self.sender.try_send(letter).map_err(|_| {
            self.pending.finish();
            QueueFull
        })
    }

    /// Waits until everything is sent or given up, but no longer than `limit`: for a process that ends.
    pub async fn drain(&self, limit: Duration) {
        let wait = async {
            loop {
                let done = self.pending.done.notified();
                tokio::pin!(done);
                done.as_mut().enable();
                if self.pending.count.load(Ordering::SeqCst) == 0 {
                    return;
                }
                done.await;
            }
        };
        if tokio::time::timeout(limit, wait).await.is_err() {
            tracing::warn!("letters were left unsent");
        }
    }
}

impl Pending {
    fn finish(&self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.done.notify_waiters();
    }
}

impl MailWorker {
    /// Sends until the queue is gone.
    pub async fn run(mut self) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut sending = JoinSet::new();
        while let Some(letter) = self.receiver.recv().await {
            while sending.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (desk, pending) = (Arc::clone(&self.desk), Arc::clone(&self.pending));
            sending.spawn(async move {
                desk.deliver(&letter).await;
                pending.finish();
                drop(place);
            });
        }
    }
}

impl Desk {
    /// Sends one letter, again when the server asks for patience.
    async fn deliver(&self, letter: &Letter) {
        let kind = letter.kind.as_str();
        let mail = match self.compose.compose(letter) {
            Ok(mail) => mail,
            Err(error) => return tracing::error!(%error, kind, "a letter was not sent"),
        };
        if letter.for_nobody {
            return;
        }
        let mut pauses = PAUSES.iter();
        loop {
            if letter.good_until.is_some_and(|moment| moment <= self.clock.now()) {
                return tracing::warn!(kind, "a letter was not sent in time");
            }
            match self.mailer.send(&mail).await {
                Ok(()) => return tracing::debug!(kind, "a letter was sent"),
                Err(error @ MailError::Later(_)) => match pauses.next() {
                    Some(pause) => {
                        tracing::warn!(%error, kind, "a letter is tried again");
                        tokio::time::sleep(*pause).await;
                    }
                    None => return tracing::error!(%error, kind, "a letter was given up"),
                },
                Err(error) => return tracing::error!(%error, kind, "a letter was not sent"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rocket::async_trait;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::mail::{ComposeError, LetterKind, Mail};
    use crate::model::Email;

    #[derive(Debug)]
    struct Words;

    impl Compose for Words {
        fn compose(&self, letter: &Letter) -> Result<Mail, ComposeError> {
            Ok(Mail::new(letter.to.clone(), letter.kind.as_str(), "", ""))
        }
    }

    /// Fails as it is told, then works.
    #[derive(Debug, Default)]
    struct Moody(Mutex<Vec<MailError>>, Mutex<Vec<Mail>>);

    #[async_trait]
    impl Mailer for Moody {
        async fn send(&self, mail: &Mail) -> Result<(), MailError> {
            if let Some(error) = self.0.lock().unwrap().pop() {
                return Err(error);
            }
            self.1.lock().unwrap().push(mail.clone());
            Ok(())
        }
    }

    fn letter() -> Letter {
        Letter::new(LetterKind::SignIn, Email::parse("ada@example.com").unwrap(), "en")
    }

    async fn sent(errors: Vec<MailError>, letters: Vec<Letter>) -> usize {
        let moody = Arc::new(Moody(Mutex::new(errors), Mutex::default()));
        let clock = Arc::new(ManualClock::at(Timestamp(1000)));
        let (queue, worker) = MailQueue::new(Arc::new(Words), Arc::clone(&moody) as Arc<dyn Mailer>, clock);
        let task = tokio::spawn(worker.run());
        for letter in letters {
            queue.put(letter).unwrap();
        }
        queue.drain(Duration::from_secs(20)).await;
        task.abort();
        moody.1.lock().unwrap().len()
    }

    #[rocket::async_test]
    async fn a_server_that_asks_for_patience_is_tried_again_and_one_that_refuses_is_not() {
        assert_eq!(sent(vec![MailError::Later("busy".to_owned())], vec![letter()]).await, 1);
        assert_eq!(sent(vec![MailError::Refused("no".to_owned())], vec![letter()]).await, 0);
    }

    #[rocket::async_test]
    async fn letters_for_nobody_and_letters_that_are_late_are_not_sent() {
        let late = letter().good_until(Timestamp(1000));
        assert_eq!(sent(vec![], vec![letter().for_nobody_if(true), late, letter()]).await, 1);
    }

    #[rocket::async_test]
    async fn a_full_queue_says_so_at_once() {
        let clock = Arc::new(ManualClock::at(Timestamp(1000)));
        let (queue, worker) = MailQueue::new(Arc::new(Words), Arc::new(Moody::default()), clock);
        assert!((0..LENGTH).all(|_| queue.put(letter()).is_ok()));
        assert!(queue.put(letter()).is_err());
        drop(worker);
    }
}
