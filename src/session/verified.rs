//! Sessions that were verified a moment ago.
//!
//! Verifying a token or asking for a row costs more than everything else a guard does, and browsers present the same
//! cookie again and again. So what was verified is kept for a while, and a guard that sees the very same text again
//! answers from here.
//!
//! # What it never does
//! - It never answers past a session's life: an entry ends before the session does, and before a renewal is due. The
//!   edges, with their tolerance, are the verifier's to decide.
//! - It never answers when the clock stands before the moment of verification.
//! - It never answers what was revoked, nor while the [`RevocationList`] is too old to tell or deaf: every answer asks the list.
//! - A row is believed for [`STALE_AFTER`] at most, so a change that no revocation tells of (a name) is seen within the
//!   bound that holds for everything else.
//! - It never holds what was refused. Whoever floods the service with invented tokens finds nothing of theirs in here,
//!   and what is valid is bounded by its size in memory.
//! - It never outlives its keys: an entry is good for the secrets it was verified by, and not when they were replaced.
//!
//! # Why the text itself is the key
//! The place of an entry is a keyed hash (SipHash, under a key of this process) of the text's end, where the signature,
//! tag or ciphertext stands that nobody can guess; only then the texts are compared, in ordinary time. To learn a byte
//! from that comparison somebody would have to present the right end first, and who has that has the token. A
//! cryptographic hash of the whole text would cost more than the rest of the guard. The texts are wiped when they go.

use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "server")]
use std::time::Instant;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use zeroize::Zeroizing;

#[cfg(feature = "server")]
use super::STALE_AFTER;
use super::data::{Carrier, SessionData};
use crate::clock::Timestamp;
#[cfg(feature = "server")]
use crate::model::UserId;

/// What all entries together may weigh, bytes.
const CAPACITY: u64 = 16 * 1024 * 1024;
/// What an entry weighs besides the texts and claims of the person's own, bytes, once it was asked for everything that is
/// made of it: rounded up.
const ENTRY: usize = 2048;
/// How often a name, address or picture is in it: in the session, its claims, and what it shows, as members and as written.
const SHOWN: usize = 5;
/// Entries the table is laid out for; it grows when they are small.
const EXPECTED: usize = 4096;
/// The end of the text that is hashed: longer than a tag of 128 bits in base64url.
const TAIL: usize = 32;

/// Verified sessions by the text that carried them.
pub(super) struct Verified {
    entries: Cache<Key, Arc<Entry>, Weight, RandomState>,
    /// Counts what was forgotten about users.
    epoch: AtomicU64,
}

impl std::fmt::Debug for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verified").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

/// A session, and what its answer depends on.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) session: Arc<SessionData>,
    /// The generation of secrets by which it was verified.
    pub(super) secrets: u64,
    /// What it weighs besides the text that finds it, bytes.
    weight: usize,
    /// The moment of verification, by the clock.
    since: Timestamp,
    /// Where the entry ends.
    until: Timestamp,
    /// When its row was read; `None` when there is no row to be believed.
    #[cfg(feature = "server")]
    row_read: Option<Instant>,
    /// The revocation list's generation that was last known not to name it.
    #[cfg(feature = "server")]
    pub(super) cleared: AtomicU64,
}

impl Entry {
    /// An entry of a session verified `since` by these secrets and good until `until`.
    pub(super) fn new(session: Arc<SessionData>, since: Timestamp, until: Timestamp, secrets: u64) -> Self {
        Self {
            weight: weight_of(&session),
            session,
            secrets,
            since,
            until,
            #[cfg(feature = "server")]
            row_read: None,
            #[cfg(feature = "server")]
            cleared: AtomicU64::new(0),
        }
    }

    /// The same, where there is a store: its row was read then, and the list did not name it in generation `cleared`.
    #[cfg(feature = "server")]
    pub(super) fn stored(self, row_read: Option<Instant>, cleared: u64) -> Self {
        Self { row_read, cleared: AtomicU64::new(cleared), ..self }
    }

    /// Whether no rule of time can refuse it at this moment.
    pub(super) fn covers(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }

    /// Whether what its row said is still to be believed.
    #[cfg(feature = "server")]
    pub(super) fn is_fresh(&self, moment: Instant) -> bool {
        self.row_read.is_none_or(|read| moment.saturating_duration_since(read) < STALE_AFTER)
    }
}

impl Default for Verified {
    fn default() -> Self {
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self { entries: Cache::with(EXPECTED, CAPACITY, Weight, hasher, lifecycle), epoch: AtomicU64::new(0) }
    }
}

impl Verified {
    /// The entry of exactly this text, carried in this way.
    pub(super) fn find(&self, text: &str, carrier: Carrier) -> Option<Arc<Entry>> {
        self.entries.get(&Sought { text, carrier })
    }

    /// To be taken before what is kept is read.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Keeps an entry read since `epoch`, and makes room for it if needed. When a user was forgotten meanwhile, the entry
    /// may be from before, and is not kept.
    pub(super) fn keep(&self, text: &str, carrier: Carrier, entry: Entry, epoch: u64) {
        self.entries.insert(Key { text: Zeroizing::new(text.to_owned()), carrier }, Arc::new(entry));
        if self.epoch() != epoch {
            self.forget(text, carrier);
        }
    }

    /// Forgets the entry of this text.
    pub(super) fn forget(&self, text: &str, carrier: Carrier) {
        self.entries.remove(&Sought { text, carrier });
    }

    /// Forgets every entry of a user.
    #[cfg(feature = "server")]
    pub(super) fn forget_user(&self, user: &UserId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.retain(|_, entry| entry.session.user_id != *user);
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.entries.weight()
    }
}

/// What an entry is found by.
struct Key {
    text: Zeroizing<String>,
    carrier: Carrier,
}

/// The same, borrowed from a request.
struct Sought<'a> {
    text: &'a str,
    carrier: Carrier,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.carrier == other.carrier && *self.text == *other.text
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.carrier == key.carrier && self.text == key.text.as_str()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(&self.text, state);
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(self.text, state);
    }
}

fn hash_end<H: Hasher>(text: &str, state: &mut H) {
    let bytes = text.as_bytes();
    state.write(bytes.last_chunk::<TAIL>().map_or(bytes, |end| end.as_slice()));
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Entry>> for Weight {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        (key.text.len() + entry.weight) as u64
    }
}

fn weight_of(session: &SessionData) -> usize {
    let shown = [&session.name, &session.email, &session.image];
    let shown: usize = shown.into_iter().flatten().map(String::len).sum();
    ENTRY + session.held.footprint() + SHOWN * shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AuthMethod, Strategy, UserId};
    use crate::secret::TokenHash;
    use crate::session::held::Held;
    use crate::token::Claims;

    const NOW: Timestamp = Timestamp(1000);

    fn session(user: &str) -> Arc<SessionData> {
        Arc::new(SessionData {
            id: TokenHash::of(user),
            user_id: UserId::from_existing(user),
            name: None,
            email: None,
            image: None,
            strategy: Strategy::Jwt,
            method: AuthMethod::Pwd,
            authenticated_at: NOW,
            renewed_at: NOW,
            expires_at: NOW.plus(100),
            held: Held::Token(Claims::default()),
            carrier: Carrier::Cookie,
            by_previous_secret: false,
            #[cfg(feature = "server")]
            shown: super::super::shown::Shown::default(),
        })
    }

    fn entry(user: &str) -> Entry {
        Entry::new(session(user), NOW, NOW.plus(10), 0)
    }

    #[test]
    fn only_the_very_same_text_finds_it() {
        let verified = Verified::default();
        let text = format!("{}.{}", "a".repeat(300), "b".repeat(64));
        verified.keep(&text, Carrier::Cookie, entry("ada"), 0);
        assert!(verified.find(&text, Carrier::Cookie).is_some());
        assert!(verified.find(&text, Carrier::Bearer).is_none());
        // The same end, another beginning: the same place, and yet nothing is found.
        assert!(verified.find(&format!("x{}", &text[1..]), Carrier::Cookie).is_none());
        assert!(verified.find(&text[1..], Carrier::Cookie).is_none());
        assert!(verified.find("", Carrier::Cookie).is_none());
        verified.forget(&text, Carrier::Cookie);
        assert!(verified.find(&text, Carrier::Cookie).is_none());
    }

    #[test]
    fn an_entry_covers_its_own_time_and_no_other() {
        let entry = entry("ada");
        assert!(!entry.covers(NOW.plus(-1)), "the clock was set back");
        assert!(entry.covers(NOW) && entry.covers(NOW.plus(9)));
        assert!(!entry.covers(NOW.plus(10)));
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_row_is_believed_for_the_bound_and_no_longer() {
        let read = Instant::now();
        let entry = entry("ada").stored(Some(read), 0);
        assert!(entry.is_fresh(read) && entry.is_fresh(read + STALE_AFTER / 2));
        assert!(!entry.is_fresh(read + STALE_AFTER));
    }

    #[test]
    fn a_flood_of_valid_tokens_stays_within_the_bound() {
        let verified = Verified::default();
        for number in 0..50_000 {
            verified.keep(&format!("{number:0400}"), Carrier::Cookie, entry("ada"), 0);
        }
        assert!(verified.weight() <= CAPACITY);
        let one = "x".repeat(16 * 1024);
        verified.keep(&one, Carrier::Cookie, entry("ada"), 0);
        assert!(verified.weight() <= CAPACITY);
    }

    #[test]
    fn what_hosts_and_people_put_in_is_weighed() {
        let (of, long) = (|session| Entry::new(Arc::new(session), NOW, NOW, 0).weight, "x".repeat(10_000));
        let plain = SessionData::clone(&session("ada"));
        let least = of(plain.clone());
        let mut claims = Claims::default();
        claims.set("notes", vec![long.as_str(); 3]);
        assert!(of(SessionData { held: Held::Token(claims.clone()), ..plain.clone() }) > least + 30_000);
        assert!(of(SessionData { name: Some(long), ..plain.clone() }) > least + 40_000);
        #[cfg(feature = "server")]
        assert!(of(SessionData { held: Held::row(claims), ..plain }) > least + 60_000);
    }

    #[cfg(feature = "server")]
    #[test]
    fn what_was_read_before_a_user_was_forgotten_is_not_kept() {
        let verified = Verified::default();
        let epoch = verified.epoch();
        verified.forget_user(&UserId::from_existing("ada"));
        verified.keep("one", Carrier::Cookie, entry("ada"), epoch);
        assert!(verified.find("one", Carrier::Cookie).is_none());
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_user_can_be_forgotten() {
        let verified = Verified::default();
        verified.keep("one", Carrier::Cookie, entry("ada"), 0);
        verified.keep("two", Carrier::Bearer, entry("ada"), 0);
        verified.keep("three", Carrier::Cookie, entry("eve"), 0);
        verified.forget_user(&UserId::from_existing("ada"));
        assert!(verified.find("one", Carrier::Cookie).is_none());
        assert!(verified.find("two", Carrier::Bearer).is_none());
        assert!(verified.find("three", Carrier::Cookie).is_some());
    }
}
