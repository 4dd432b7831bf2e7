//! The connection by which sessions are read, kept from one read to the next.
//!
//! The pool tests each connection that it lends or takes back, and that takes as long as a read. Only what succeeded is kept:
//! after a read that failed or was given up, the connection goes back to be tested.

use rocket::async_trait;

use super::Error;
use crate::model::{SessionRecord, User};
use crate::secret::TokenHash;

/// Sessions read by one statement at most.
pub(super) const TOGETHER: usize = 16;

/// A session and its user.
pub(super) type Found = (SessionRecord, User);

/// Whoever can read sessions by their ids, up to [`TOGETHER`] at a time.
#[async_trait]
pub(super) trait ReadSessions: Send + Sync + 'static {
    /// What is read by; dropping it gives it back.
    type Connection: Send;

    /// A connection that works.
    async fn connect(&self) -> Result<Self::Connection, Error>;

    /// Those of the sessions that exist, in any order. It fails when any of their rows means nothing.
    async fn read_sessions(by: &mut Self::Connection, ids: &[TokenHash]) -> Result<Vec<Found>, Error>;
}

/// A connection, while there is one.
pub(super) struct Kept<R: ReadSessions> {
    connection: Option<R::Connection>,
    /// How many reads were made by it.
    reads: u32,
    /// How many are, until it is given back all the same, and the pool may test and replace it.
    most: u32,
}

impl<R: ReadSessions> Kept<R> {
    /// None yet; each is kept for so many reads.
    pub(super) fn new(most: u32) -> Self {
        Self { connection: None, reads: 0, most }
    }

    /// Reads by the connection that the last read was made by, or by another when that failed.
    pub(super) async fn read(&mut self, reader: &R, ids: &[TokenHash]) -> Result<Vec<Found>, Error> {
        let kept = self.connection.take();
        self.reads = if kept.is_some() { self.reads + 1 } else { 1 };
        let mut connection = match kept {
            Some(connection) => connection,
            None => reader.connect().await?,
        };
        let found = R::read_sessions(&mut connection, ids).await?;
        self.connection = Some(connection).filter(|_| self.reads < self.most);
        Ok(found)
    }
}
