//! The threads that hash.
//!
//! They stand behind all others for a core ([`POLITENESS`]): somebody who waits for a page does not wait for the passwords of
//! others. A thread that was made polite cannot be made anything else again, so these do nothing else.
//!
//! They are begun by the first hash and stay. A thread of its own for each would cost little, and would be a stranger to the
//! scheduler each time: Linux owes a new thread its share at once, and a thread that has had more than its share waits. So
//! whoever woke next waited behind a hash for a tick of the clock, again and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

/// What is added to the niceness of a thread that hashes: it gets about a tenth of what others get, and all that they
/// leave.
#[cfg(unix)]
const POLITENESS: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// So many threads, begun when there is something to do for the first time.
#[derive(Debug)]
pub(super) struct PoliteThreads {
    count: usize,
    begun: Mutex<Begun>,
}

/// The threads there are, which end when nobody can send them anything any more.
#[derive(Debug)]
struct Begun {
    threads: usize,
    sender: Sender<Work>,
    receiver: Arc<Mutex<Receiver<Work>>>,
}

impl PoliteThreads {
    /// None yet.
    pub(super) fn new(count: usize) -> Self {
        let (sender, receiver) = mpsc::channel();
        let begun = Begun { threads: 0, sender, receiver: Arc::new(Mutex::new(receiver)) };
        Self { count, begun: Mutex::new(begun) }
    }

    /// Has this done by the next thread that is free. Threads that are missing are begun first; fewer will do meanwhile.
    ///
    /// # Errors
    /// When there is no thread, and the system gives none; `work` is dropped then.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.threads < self.count {
            let receiver = Arc::clone(&begun.receiver);
            match std::thread::Builder::new().name("password".to_owned()).spawn(move || serve(&receiver)) {
                Ok(_) => begun.threads += 1,
                Err(error) if begun.threads == 0 => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, threads = begun.threads, "there are fewer threads that hash than cores");
                    break;
                }
            }
        }
        let gone = |_| std::io::Error::other("the threads that hash have ended");
        begun.sender.send(Box::new(work)).map_err(gone)
    }
}

fn serve(receiver: &Mutex<Receiver<Work>>) {
    be_polite();
    loop {
        // Whoever holds the receiver waits for work, and the others for the receiver.
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // Whoever waits for it hears of it, because what it was to tell them with is gone.
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!("a thread that hashes panicked, and goes on");
        }
    }
}

/// Lets every other thread of the machine go first. Where that cannot be asked for, hashing goes on as it is.
fn be_polite() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::nice(POLITENESS) {
        tracing::debug!(%error, "a thread that hashes has the priority of all others");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread::{self, ThreadId};

    use super::*;

    /// Does something on all threads at a time, and tells which they were.
    fn all(threads: &PoliteThreads) -> HashSet<ThreadId> {
        let (together, (tell, told)) = (Arc::new(Barrier::new(threads.count)), mpsc::channel());
        for _ in 0..threads.count {
            let (together, tell) = (Arc::clone(&together), tell.clone());
            let work = move || {
                together.wait();
                tell.send(thread::current().id()).unwrap();
            };
            threads.run(work).unwrap();
        }
        drop(tell);
        told.into_iter().collect()
    }

    #[test]
    fn the_same_threads_work_again_and_all_at_a_time() {
        let threads = PoliteThreads::new(3);
        let first = all(&threads);
        assert!(first.len() == 3 && !first.contains(&thread::current().id()));
        assert_eq!(all(&threads), first);
    }

    #[test]
    fn work_that_panics_takes_no_thread_along() {
        let threads = PoliteThreads::new(2);
        let first = all(&threads);
        for _ in 0..4 {
            threads.run(|| panic!("as it was asked to")).unwrap();
        }
        assert_eq!(all(&threads), first);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn they_are_polite_and_nobody_else_is() {
        let niceness = || {
            let status = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The 19th field; the second, in brackets, may hold blanks.
            let after = status.rsplit_once(')').unwrap().1;
            after.split_ascii_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let own = niceness();
        let (tell, told) = mpsc::channel();
        PoliteThreads::new(1).run(move || tell.send(niceness()).unwrap()).unwrap();
        assert_eq!((told.recv().unwrap(), niceness()), ((own + POLITENESS).min(19), own));
    }
}
