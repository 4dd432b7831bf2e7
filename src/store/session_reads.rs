//! Sessions that are looked up at the same time, read together.
//!
//! A look-up by its key costs a database little, and the way there and back much: a connection is taken and given back, and
//! a thread or a server woken. So only a few reads are under way at a time, and what is asked for meanwhile is read by the
//! next one in a single statement. Whoever asks while nobody else does is read for at once and waits for nobody. It also
//! means that guards hold no more than half of the connections, however many sessions nobody remembers are presented.
//!
//! # What holds as if each were read alone
//! - A read begins after everything it answers was asked for: no answer is older than its question.
//! - A row that means nothing, or a page of the database that cannot be read, is an error for whoever asked for it, and for
//!   nobody else: when a statement fails, each session is read by itself, as long as there is time.
//! - A read is a task of its own: whoever goes away meanwhile takes nobody along.
//!
//! A connection is kept from one read to the next while somebody waits: see `kept.rs`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Error;
use super::kept::{Found, Kept, ReadSessions, TOGETHER};
use crate::secret::TokenHash;

/// What a look-up is told.
type Answer = Result<Option<Found>, Error>;

/// Reads by one connection in a row, while somebody waits.
const READS_OF_A_CONNECTION: u32 = 1000;

/// The look-ups of a store.
#[derive(Debug)]
pub(super) struct SessionReads<R> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    reader: R,
    /// How long a read may take.
    timeout: Duration,
    /// Reads that may be under way at a time.
    at_once: usize,
    /// Reads that are made by one connection, in a row.
    by_one: u32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<LookUp>,
    under_way: usize,
}

#[derive(Debug)]
struct LookUp {
    id: TokenHash,
    tell: oneshot::Sender<Answer>,
}

impl<R: ReadSessions> SessionReads<R> {
    /// Look-ups by this reader: so many reads `at_once`, each bounded by `timeout`. With none, there is one at a time, and it
    /// keeps no connection: others wait for it.
    pub(super) fn new(reader: R, at_once: usize, timeout: Duration) -> Self {
        let (queue, by_one) = (Mutex::default(), if at_once == 0 { 1 } else { READS_OF_A_CONNECTION });
        Self { shared: Arc::new(Shared { reader, timeout, at_once: at_once.max(1), by_one, queue }) }
    }

    /// The session with this id, and its user.
    pub(super) async fn find(&self, id: TokenHash) -> Answer {
        let (tell, told) = oneshot::channel();
        if self.shared.wants_another_read(LookUp { id, tell }) {
            let kept = Kept::new(self.shared.by_one);
            tokio::spawn(Place { shared: Arc::clone(&self.shared), kept, is_left: false }.work());
        }
        told.await.unwrap_or_else(|_| Err(Error::Unavailable("a read was given up".to_owned())))
    }
}

impl<R> Shared<R> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a look-up in. Whether a read is to be begun for it, whose place is taken.
    fn wants_another_read(&self, look_up: LookUp) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(look_up);
        let has_place = queue.under_way < self.at_once;
        queue.under_way += usize::from(has_place);
        has_place
    }
}

/// A place among the reads under way.
struct Place<R: ReadSessions> {
    shared: Arc<Shared<R>>,
    kept: Kept<R>,
    is_left: bool,
}

/// However a read ends. The last one to go, if it did not end as it should, leaves nobody to wait for a read that does not
/// come.
impl<R: ReadSessions> Drop for Place<R> {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        let mut queue = self.shared.queue();
        queue.under_way -= 1;
        let given_up =
            if queue.under_way == 0 { std::mem::take(&mut queue.waiting) } else { VecDeque::new() };
        drop(queue);
        drop(given_up);
    }
}

impl<R: ReadSessions> Place<R> {
    /// Reads for whoever waits, until nobody does.
    async fn work(mut self) {
        loop {
            // Whoever is about to ask in this very moment is read for as well: the first time requests that have arrived
            // become tasks, which run before the second time is over.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let Some(look_ups) = self.next() else { return };
            self.read(look_ups).await;
        }
    }

    /// The next look-ups. The place is left in the very moment in which nobody waits: whoever comes after it begins a read.
    fn next(&mut self) -> Option<Vec<LookUp>> {
        let mut queue = self.shared.queue();
        let mut look_ups = Vec::new();
        while look_ups.len() < TOGETHER
            && let Some(look_up) = queue.waiting.pop_front()
        {
            // Whoever has gone is not read for.
            if !look_up.tell.is_closed() {
                look_ups.push(look_up);
            }
        }
        if look_ups.is_empty() {
            queue.under_way -= 1;
            drop(queue);
            self.is_left = true;
            return None;
        }
        Some(look_ups)
    }

    async fn read(&mut self, look_ups: Vec<LookUp>) {
        let ids: Vec<TokenHash> = look_ups.iter().map(|look_up| look_up.id).collect();
        let until = Instant::now() + self.shared.timeout;
        match self.read_by(until, &ids).await {
            Err(_) if ids.len() > 1 => {
                for LookUp { id, tell } in look_ups {
                    // Whoever asked may have gone.
                    if tell.is_closed() {
                        continue;
                    }
                    let mut read = self.read_by(until, &[id]).await;
                    tell.send(answer(&mut read, &id, true)).ok();
                }
            }
            mut read => {
                let mut left = look_ups.into_iter();
                while let Some(LookUp { id, tell }) = left.next() {
                    let is_last = left.as_slice().iter().all(|other| other.id != id);
                    tell.send(answer(&mut read, &id, is_last)).ok();
                }
            }
        }
    }

    async fn read_by(&mut self, until: Instant, ids: &[TokenHash]) -> Result<Vec<Found>, Error> {
        let late = || Err(Error::Unavailable("no answer in time".to_owned()));
        // A time-out lets what it bounds begin, even when the time is over.
        if Instant::now() >= until {
            return late();
        }
        let read = self.kept.read(&self.shared.reader, ids);
        tokio::time::timeout_at(until, read).await.unwrap_or_else(|_| late())
    }
}

/// What was read, for whoever asked for this one. The last who did takes it: a copy is a dozen texts.
fn answer(read: &mut Result<Vec<Found>, Error>, id: &TokenHash, is_last: bool) -> Answer {
    let found = read.as_mut().map_err(|error| error.clone())?;
    let Some(at) = found.iter().position(|(session, _)| session.id == *id) else {
        return Ok(None);
    };
    Ok(if is_last { Some(found.swap_remove(at)) } else { found.get(at).cloned() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocket::async_trait;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::model::samples;
    use crate::secret::hex;

    /// Reads when it is allowed to, and notes what was read together.
    #[derive(Debug, Clone)]
    struct Reader {
        allowed: Arc<Semaphore>,
        reads: Arc<Mutex<Vec<Vec<TokenHash>>>>,
        connections: Arc<Mutex<usize>>,
    }

    impl Reader {
        fn new(allowed: usize) -> Self {
            let allowed = Arc::new(Semaphore::new(allowed));
            Self { allowed, reads: Arc::default(), connections: Arc::default() }
        }

        fn sizes(&self) -> Vec<usize> {
            self.reads.lock().unwrap().iter().map(Vec::len).collect()
        }

        fn connections(&self) -> usize {
            *self.connections.lock().unwrap()
        }
    }

    #[async_trait]
    impl ReadSessions for Reader {
        type Connection = Self;

        async fn connect(&self) -> Result<Self, Error> {
            *self.connections.lock().unwrap() += 1;
            Ok(self.clone())
        }

        async fn read_sessions(by: &mut Self, ids: &[TokenHash]) -> Result<Vec<Found>, Error> {
            by.reads.lock().unwrap().push(ids.to_vec());
            by.allowed.acquire().await.unwrap().forget();
            assert!(!ids.contains(&id("panics")), "as it was asked to");
            if ids.contains(&id("down")) {
                return Err(Error::Unavailable("down".to_owned()));
            }
            let there = ids.iter().filter(|other| **other != id("none")).rev();
            there.map(row).collect()
        }
    }

    fn id(name: &str) -> TokenHash {
        TokenHash::of(name)
    }

    fn row(of: &TokenHash) -> Result<Found, Error> {
        if *of == id("corrupt") {
            return Err(Error::Corrupt("a row".to_owned()));
        }
        Ok((samples::session(*of), samples::user()))
    }

    type LookingUp = tokio::task::JoinHandle<Answer>;

    /// Asks for each, in this order.
    async fn ask(reads: &Arc<SessionReads<Reader>>, names: &[&str]) -> Vec<LookingUp> {
        let mut asked = Vec::new();
        for name in names {
            let (reads, id) = (Arc::clone(reads), id(name));
            asked.push(tokio::spawn(async move { reads.find(id).await }));
            everybody_else().await;
        }
        asked
    }

    /// Until whoever can go on has: a read that has a place has begun.
    async fn everybody_else() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    async fn told(asked: Vec<LookingUp>) -> Vec<String> {
        let mut told = Vec::new();
        for one in asked {
            told.push(match one.await.unwrap() {
                Ok(Some((session, _))) => hex(session.id.as_bytes()),
                Ok(None) => "nobody".to_owned(),
                Err(error) => error.to_string(),
            });
        }
        told
    }

    fn hex_of(name: &str) -> String {
        hex(id(name).as_bytes())
    }

    fn reads(reader: &Reader, at_once: usize) -> Arc<SessionReads<Reader>> {
        Arc::new(SessionReads::new(reader.clone(), at_once, Duration::from_mins(1)))
    }

    #[tokio::test]
    async fn everybody_is_told_of_their_own_row() {
        let reader = Reader::new(0);
        let reads = reads(&reader, 1);
        let asked = ask(&reads, &["first", "one", "none", "two", "one"]).await;
        reader.allowed.add_permits(2);
        let expected = [hex_of("first"), hex_of("one"), "nobody".to_owned(), hex_of("two"), hex_of("one")];
        assert_eq!(told(asked).await, expected);
        assert_eq!(reader.sizes(), [1, 4], "the first was read for at once, the others together");
        assert_eq!(reader.connections(), 1, "by the same connection");
    }

    #[tokio::test]
    async fn the_only_connection_is_given_back_after_each_read() {
        let reader = Reader::new(0);
        let reads = reads(&reader, 0);
        let asked = ask(&reads, &["first", "one", "two"]).await;
        reader.allowed.add_permits(2);
        told(asked).await;
        assert_eq!((reader.sizes(), reader.connections()), (vec![1, 2], 2));
    }

    #[tokio::test]
    async fn so_many_reads_at_a_time_of_so_many_sessions() {
        let reader = Reader::new(0);
        let reads = reads(&reader, 2);
        let names: Vec<String> = (0..2 + TOGETHER + 3).map(|number| number.to_string()).collect();
        let asked = ask(&reads, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(reader.sizes(), [1, 1], "two places");
        reader.allowed.add_permits(4);
        assert_eq!(told(asked).await, names.iter().map(|name| hex_of(name)).collect::<Vec<_>>());
        assert_eq!(reader.sizes(), [1, 1, TOGETHER, 3]);
        reader.allowed.add_permits(1);
        assert_eq!(told(ask(&reads, &["later"]).await).await, [hex_of("later")], "the places were left");
    }

    #[tokio::test]
    async fn where_a_statement_fails_each_is_read_by_itself() {
        let reader = Reader::new(0);
        let reads = reads(&reader, 1);
        for bad in ["down", "corrupt"] {
            let asked = ask(&reads, &["first", "one", bad, "none"]).await;
            reader.allowed.add_permits(5);
            let error = row(&id("corrupt")).unwrap_err().to_string();
            let error = if bad == "down" { Error::Unavailable(bad.to_owned()).to_string() } else { error };
            assert_eq!(told(asked).await, [hex_of("first"), hex_of("one"), error, "nobody".to_owned()]);
            // The place is left, and the connection with it.
            everybody_else().await;
        }
        assert_eq!(reader.sizes(), [1, 3, 1, 1, 1, 1, 3, 1, 1, 1]);
        // Each time one to begin with, another after all of them and another after the bad one failed.
        assert_eq!(reader.connections(), 6);
    }

    #[tokio::test]
    async fn whoever_goes_away_takes_nobody_along() {
        let reader = Reader::new(0);
        let reads = reads(&reader, 1);
        let mut asked = ask(&reads, &["first", "gone", "stays"]).await;
        asked.remove(0).abort();
        asked.remove(0).abort();
        everybody_else().await;
        reader.allowed.add_permits(2);
        assert_eq!(told(asked).await, [hex_of("stays")]);
        assert_eq!(reader.sizes(), [1, 1], "nobody was read for who had gone before");
    }

    #[tokio::test]
    async fn when_time_is_over_no_read_is_begun() {
        let reader = Reader::new(0);
        let reads = Arc::new(SessionReads::new(reader.clone(), 1, Duration::from_millis(50)));
        let asked = ask(&reads, &["first", "one", "two"]).await;
        let late = Error::Unavailable("no answer in time".to_owned()).to_string();
        assert_eq!(told(asked).await, [late.clone(), late.clone(), late]);
        assert_eq!(reader.sizes(), [1, 2], "none by itself");
    }

    #[tokio::test]
    async fn a_read_that_hangs_or_fails_leaves_its_place() {
        let reader = Reader::new(0);
        let reads = Arc::new(SessionReads::new(reader.clone(), 1, Duration::from_millis(50)));
        let asked = told(ask(&reads, &["hangs"]).await).await;
        assert_eq!(asked, [Error::Unavailable("no answer in time".to_owned()).to_string()]);
        let asked = ask(&reads, &["panics", "waits"]).await;
        reader.allowed.add_permits(2);
        let given_up = Error::Unavailable("a read was given up".to_owned()).to_string();
        assert_eq!(told(asked).await, [given_up.clone(), given_up], "whoever waited is told at once");
        assert_eq!(told(ask(&reads, &["one"]).await).await, [hex_of("one")]);
    }
}
