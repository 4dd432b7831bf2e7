//! The bounded queue between a request and the mail server.
//!
//! What the server cannot take now is tried again, at growing distances: a link as long as it is good, a notice for an
//! hour. A letter that waits for its next try keeps no other one waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{Compose, Letter, MailError, Mailer};
use crate::clock::Clock;
use crate::metrics;

/// Letters that may be on their way.
const LENGTH: usize = 1024;
/// Letters that are sent at the same time.
const AT_ONCE: usize = 8;
/// Seconds to wait before each further try.
const PAUSES: [u32; 9] = [1, 5, 30, 60, 120, 240, 480, 960, 1800];

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
        self.pending.begin()?;
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
    /// A letter that waits for another try is on its way, too: it counts until it is sent or given up.
    fn begin(&self) -> Result<(), QueueFull> {
        let one_more = |count: usize| (count < LENGTH).then_some(count.saturating_add(1));
        self.count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .map_or(Err(QueueFull), |_| Ok(()))
    }

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
            let (desk, pending) = (Arc::clone(&self.desk), Arc::clone(&self.pending));
            let places = Arc::clone(&places);
            sending.spawn(async move {
                desk.deliver(&letter, &places).await;
                pending.finish();
            });
        }
    }
}

impl Desk {
    /// Sends one letter, again when the server asks for patience.
    async fn deliver(&self, letter: &Letter, places: &Semaphore) {
        let kind = letter.kind.as_str();
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.send(letter, places).await {
                Sent::Done(outcome) => return metrics::letter(outcome),
                Sent::Later(error) => error,
            };
            let Some(pause) = pauses.next().filter(|pause| self.is_good_after(letter, **pause)) else {
                tracing::error!(%error, kind, "a letter was given up");
                return metrics::letter("lost");
            };
            tracing::warn!(%error, kind, "a letter is tried again");
            metrics::letter("delayed");
            tokio::time::sleep(Duration::from_secs((*pause).into())).await;
        }
    }

    /// One try.
    async fn send(&self, letter: &Letter, places: &Semaphore) -> Sent {
        let kind = letter.kind.as_str();
        let Ok(_place) = places.acquire().await else {
            return Sent::Done("lost");
        };
        let mail = match self.compose.compose(letter) {
            Ok(mail) => mail,
            Err(error) => {
                tracing::error!(%error, kind, "a letter was not sent");
                return Sent::Done("lost");
            }
        };
        if letter.for_nobody {
            return Sent::Done("for_nobody");
        }
        if !self.is_good_after(letter, 0) {
            tracing::warn!(kind, "a letter was not sent in time");
            return Sent::Done("lost");
        }
        match self.mailer.send(&mail).await {
            Ok(()) => {
                tracing::debug!(kind, "a letter was sent");
                Sent::Done("sent")
            }
            Err(error @ MailError::Later(_)) => Sent::Later(error),
            Err(error) => {
                tracing::error!(%error, kind, "a letter was not sent");
                Sent::Done("lost")
            }
        }
    }

    /// Whether a letter is still worth sending so many seconds from now.
    fn is_good_after(&self, letter: &Letter, seconds: u32) -> bool {
        letter.good_until.is_none_or(|moment| self.clock.now().plus(seconds.into()) < moment)
    }
}

/// What came of a try.
enum Sent {
    /// It is over, and how.
    Done(&'static str),
    /// The server asks for patience.
    Later(MailError),
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

    /// Says of one address that it must wait, however often it is asked.
    #[derive(Debug, Default)]
    struct Waits(Mutex<Vec<Mail>>);

    #[async_trait]
    impl Mailer for Waits {
        async fn send(&self, mail: &Mail) -> Result<(), MailError> {
            self.0.lock().unwrap().push(mail.clone());
            if mail.to.as_str() == "full@example.com" {
                return Err(MailError::Later("mailbox full".to_owned()));
            }
            Ok(())
        }
    }

    #[rocket::async_test]
    async fn letters_that_wait_for_another_try_keep_no_other_waiting() {
        let waits = Arc::new(Waits::default());
        let clock = Arc::new(ManualClock::at(Timestamp(1000)));
        let (queue, worker) = MailQueue::new(Arc::new(Words), Arc::clone(&waits) as Arc<dyn Mailer>, clock);
        let task = tokio::spawn(worker.run());
        let full = || Letter::new(LetterKind::SignIn, Email::parse("full@example.com").unwrap(), "en");
        (0..4 * AT_ONCE).for_each(|_| queue.put(full()).unwrap());
        queue.put(letter()).unwrap();
        let arrived = || waits.0.lock().unwrap().iter().any(|mail| mail.to.as_str() == "ada@example.com");
        for _ in 0..400 {
            if arrived() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The others wait 36 seconds for their third try.
        assert!(arrived());
        task.abort();
    }

    #[rocket::async_test]
    async fn a_letter_is_not_tried_again_when_it_would_be_too_late() {
        let later = || vec![MailError::Later("busy".to_owned())];
        let until = |moment| letter().good_until(Timestamp(moment));
        assert_eq!(sent(later(), vec![until(1001)]).await, 0, "a second is what the first pause takes");
        assert_eq!(sent(later(), vec![until(1002)]).await, 1);
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
