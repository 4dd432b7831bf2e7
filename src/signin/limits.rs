//! How often guessing is allowed.
//!
//! An attempt is counted *before* its password is looked at, in one act of the store, so that parallel guesses
//! cannot overtake the count; a right password takes its attempt back. Three counts, each in a window:
//!
//! | count | stops | does not stop |
//! | --- | --- | --- |
//! | account and address | guessing one account | the person, from another address |
//! | address | trying many accounts | other addresses |
//! | account everywhere | a distributed guess at one account | (set high, so that nobody is locked out in passing) |
//!
//! IPv6 addresses count by /64, which one customer holds whole. Keys are hashes of fixed size: a flood of names cannot
//! grow memory, and the store's rows are cleaned up when their window ends.
//!
//! # When the store fails in between
//! An attempt that turns out to be no guess (the password was right, or nothing could be compared) is taken back. When
//! the store fails at that, the attempt is *owed*: it is kept in memory and taken back before anything is counted again,
//! so an outage counts against nobody.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Clock, Timestamp};
use crate::config::LimitsConfig;
use crate::model::{Email, UserId};
use crate::secret::TokenHash;
use crate::store::{self, Store};

/// Counts attempts.
#[derive(Debug, Clone)]
pub struct Limits {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: LimitsConfig,
    owed: Arc<Mutex<Vec<Owed>>>,
}

/// A count that is to be taken back.
#[derive(Debug)]
enum Owed {
    /// Of one attempt, under these keys.
    Attempt(Receipt),
    /// Of tries of the code that was mailed with this secret.
    Code(TokenHash),
}

/// Attempts that are remembered as owed at most; beyond, they stay counted until their window ends.
const OWED_MAX: usize = 10_000;

/// Who is trying: an account's name as typed and canonicalised, and a network address.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The canonical e-mail address.
    pub account: &'a str,
    /// The client's address, when it is known.
    pub address: Option<IpAddr>,
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitHit {
    /// Seconds until the window ends.
    pub retry_after: i64,
}

/// What came of counting an attempt.
#[derive(Debug)]
#[must_use]
pub enum Counted {
    /// Go on; the receipt takes the attempt back when the password was right.
    Allowed(Receipt),
    /// Stop: do not look at the password.
    Refused(LimitHit),
}

/// The counters one attempt was counted under.
#[derive(Debug)]
pub struct Receipt(Vec<TokenHash>);

impl Limits {
    /// As configured.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: LimitsConfig) -> Self {
        Self { store, clock, config, owed: Arc::default() }
    }

    /// This moment, by the clock that windows are counted by.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts an attempt to sign in by password.
    ///
    /// # Errors
    /// [`store::Error`]: unknown, so do not go on.
    pub async fn count_sign_in(&self, attempt: Attempt<'_>) -> Result<Counted, store::Error> {
        let address = network_of(attempt.address);
        self.count(&[
            (key(&["sign-in", attempt.account, &address]), self.config.per_account),
            (key(&["sign-in address", &address]), self.config.per_address),
            (key(&["sign-in account", attempt.account]), self.config.per_account_everywhere),
        ])
        .await
    }

    /// Counts an attempt to make an account.
    ///
    /// # Errors
    /// [`store::Error`]: unknown, so do not go on.
    pub async fn count_sign_up(&self, address: Option<IpAddr>) -> Result<Counted, store::Error> {
        let address = network_of(address);
        self.count(&[(key(&["sign-up address", &address]), self.config.sign_ups_per_address)]).await
    }

    /// Counts a guess at somebody's second factor: per person, from wherever it comes.
    ///
    /// # Errors
    /// [`store::Error`]: unknown, so do not go on.
    pub async fn count_second_factor(&self, user: &UserId) -> Result<Counted, store::Error> {
        self.count(&[(key(&["second factor", user.as_str()]), self.config.per_account)]).await
    }

    /// Counts an attempt to sign in by a passkey.
    ///
    /// # Errors
    /// [`store::Error`]: unknown, so do not go on.
    pub async fn count_passkey(&self, address: Option<IpAddr>) -> Result<Counted, store::Error> {
        let address = network_of(address);
        self.count(&[(key(&["passkey address", &address]), self.config.per_address)]).await
    }

    /// Counts a return from another site: each leaves a note in the store and asks that site something.
    ///
    /// # Errors
    /// [`store::Error`]: unknown, so do not go on.
    pub async fn count_return(&self, address: Option<IpAddr>) -> Result<Counted, store::Error> {
        let address = network_of(address);
        self.count(&[(key(&["return address", &address]), self.config.per_address)]).await
    }

    /// Takes an attempt back that could not be judged: in a moment, because the store may be what failed, and whoever waits
    /// for the answer should not wait for it twice.
    pub fn take_back_later(&self, receipt: Receipt) {
        if !receipt.0.is_empty() {
            self.owe(Owed::Attempt(receipt));
        }
    }

    /// Counts a mail that anybody can ask for: against the client first, so that who asks too often uses up nobody's
    /// mailbox, nor the mails that somebody else may ask for themselves.
    ///
    /// # Errors
    /// [`store::Error`]: unknown, so do not go on.
    pub async fn count_mail(&self, to: &Email, address: Option<IpAddr>) -> Result<Counted, store::Error> {
        let address = network_of(address);
        self.count(&[
            (key(&["mail address", &address]), self.config.mails_per_address),
            (key(&["mail", to.as_str(), &address]), self.config.mails_per_recipient),
            (key(&["mail recipient", to.as_str()]), self.config.mails_per_recipient_everywhere),
        ])
        .await
    }

    /// Takes back the try of a mailed code that was right and came to nothing for another reason.
    pub(super) async fn take_back_code(&self, mailed: TokenHash) {
        self.owe(Owed::Code(mailed));
        self.settle_soon().await;
    }

    /// Takes an attempt back: it was no guess. When the store fails just now, it is done as soon as it answers again.
    pub async fn take_back(&self, receipt: Receipt) {
        self.take_back_later(receipt);
        self.settle_soon().await;
    }

    async fn settle_soon(&self) {
        if let Err(error) = self.settle().await {
            tracing::warn!(%error, "an attempt could not be taken back yet");
        }
    }

    /// Takes back what is owed.
    ///
    /// # Errors
    /// [`store::Error`]; what could not be taken back is still owed.
    pub async fn settle(&self) -> Result<(), store::Error> {
        while let Some(owed) = self.next_owed() {
            let returned = match &owed {
                Owed::Attempt(receipt) => self.store.return_attempts(&receipt.0).await,
                Owed::Code(mailed) => self.store.return_code_attempt(mailed).await,
            };
            if let Err(error) = returned {
                self.owe(owed);
                return Err(error);
            }
        }
        Ok(())
    }

    fn next_owed(&self) -> Option<Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn owe(&self, count: Owed) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() < OWED_MAX {
            owed.push(count);
        }
    }

    /// Stops at the first counter that is over, so that a refused attempt does not use up the wider ones.
    async fn count(&self, counters: &[(TokenHash, i64)]) -> Result<Counted, store::Error> {
        self.settle().await?;
        let now = self.clock.now();
        let counts = self.store.count_attempts(counters, now, self.config.window).await?;
        let mut counted = Vec::with_capacity(counters.len());
        for ((key, limit), state) in counters.iter().zip(&counts) {
            if state.count > *limit {
                self.take_back(Receipt(counted)).await;
                return Ok(Counted::Refused(hit(state.window_ends, now)));
            }
            counted.push(*key);
        }
        // Whoever counts less than all says that one is over.
        if counted.len() < counters.len() {
            return Err(store::Error::Corrupt("an attempt that was not counted".to_owned()));
        }
        Ok(Counted::Allowed(Receipt(counted)))
    }
}

fn hit(window_ends: Timestamp, now: Timestamp) -> LimitHit {
    LimitHit { retry_after: window_ends.since(now).max(1) }
}

fn key(parts: &[&str]) -> TokenHash {
    TokenHash::of_parts(parts)
}

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address.
pub(super) fn network_of(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> String {
        network_of(Some(text.parse().unwrap()))
    }

    #[test]
    fn one_client_has_one_spelling() {
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:DB8:1:2::9"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
    }
}
