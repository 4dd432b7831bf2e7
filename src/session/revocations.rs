//! What was revoked, in memory.
//!
//! A JSON Web Token is good until it expires, whatever happens; so what ends one early must be remembered. The store
//! keeps every revocation until the revoked session would have ended by itself; this list is its image in memory, read
//! at launch and followed from then on, so that a guard asks no database.
//!
//! A process that revokes something adds it here at once. Of what another process revokes PostgreSQL tells, usually
//! within milliseconds; besides, the store is asked every [`REFRESH_EVERY`]. While the connection it tells over is cut,
//! the list is [deaf](RevocationList::go_deaf) and answers nothing by itself: every guard asks the store first. SQLite,
//! which few processes share, is only asked. When the store could not be asked for [`STALE_AFTER`], the list no longer
//! answers: guards then say "unknown" (503), never "signed in".

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::model::{Revocation, Subject, UserId};
use crate::secret::TokenHash;

/// How often the store is asked for what other processes revoked.
pub const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// How long the list is believed without the store having confirmed it.
pub const STALE_AFTER: Duration = Duration::from_secs(5);

/// The image in memory.
#[derive(Debug)]
pub struct RevocationList {
    state: RwLock<State>,
    /// Counts what was taken in: in the same generation, the same question has the same answer.
    generation: AtomicU64,
    /// Where `confirmed` counts from.
    born: Instant,
    /// Nanoseconds after `born` at which the store was asked for the last answer it gave; 0 when it gave none.
    confirmed: AtomicU64,
    /// Nanoseconds after `born` at which the store began to tell what others revoke: what it confirmed before that says
    /// nothing of the time in between. [`DEAF`] while it tells nothing, 0 when it never did.
    hears_since: AtomicU64,
}

/// No moment: the store tells nothing.
const DEAF: u64 = u64::MAX;

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<ShortId, Minute>,
    users: HashMap<UserId, UserRevocation>,
    sequence: i64,
}

/// The first 96 bits of a session's hash. A million of these and their minutes fit into 32 MB, where the whole would not;
/// that any two of a million sessions share them happens once in 10^17 times, and would only sign somebody out.
type ShortId = [u8; 12];

/// A moment, rounded up to a minute: no revocation is forgotten early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Minute(u32);

impl Minute {
    fn of(moment: Timestamp) -> Self {
        let minutes = moment.plus(59).0.max(0) / 60;
        Self(u32::try_from(minutes).unwrap_or(u32::MAX))
    }
}

fn short(id: &TokenHash) -> ShortId {
    id.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[derive(Debug, Clone, Copy)]
struct UserRevocation {
    not_after: Timestamp,
    expires_at: Timestamp,
}

impl Default for RevocationList {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            generation: AtomicU64::new(0),
            born: Instant::now(),
            confirmed: AtomicU64::new(0),
            hears_since: AtomicU64::new(0),
        }
    }
}

impl RevocationList {
    /// Whether this session, of this user, was revoked; `None` when the list is too old to tell, or deaf.
    #[must_use]
    pub fn is_revoked(&self, id: &TokenHash, user: &UserId, authenticated_at: Timestamp) -> Option<bool> {
        self.answer((id, user, authenticated_at), || self.is_current(Instant::now()))
    }

    /// As [`RevocationList::is_revoked`], and believed when the store confirmed the list at or after `moment`.
    #[must_use]
    pub fn is_revoked_as_of(
        &self,
        moment: Instant,
        (id, user, authenticated_at): (&TokenHash, &UserId, Timestamp),
    ) -> Option<bool> {
        self.answer((id, user, authenticated_at), || self.is_confirmed_since(moment))
    }

    fn answer(
        &self,
        (id, user, authenticated_at): (&TokenHash, &UserId, Timestamp),
        knows: impl FnOnce() -> bool,
    ) -> Option<bool> {
        if self.names(id, user, authenticated_at) {
            // Before the first answer of the store the list knows nothing, not even this.
            return (self.confirmed.load(Ordering::Acquire) > 0).then_some(true);
        }
        knows().then_some(false)
    }

    /// Whether the store confirmed the list lately enough for a "no" to be believed, and would have told of anything
    /// since.
    #[must_use]
    pub fn is_current(&self, moment: Instant) -> bool {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let now = self.nanoseconds(moment);
        confirmed > 0
            && self.hears_since.load(Ordering::Acquire) <= confirmed
            && u128::from(now.saturating_sub(confirmed)) < STALE_AFTER.as_nanos()
    }

    /// Whether the store was asked at or after `moment` for the last answer it gave.
    #[must_use]
    pub fn is_confirmed_since(&self, moment: Instant) -> bool {
        self.confirmed.load(Ordering::Acquire) >= self.nanoseconds(moment).max(1)
    }

    /// The store tells nothing any more of what others revoke: from now on nobody believes the list without asking.
    pub fn go_deaf(&self) {
        self.hears_since.store(DEAF, Ordering::Release);
    }

    /// The store tells again, since `moment`. The list is believed once the store has confirmed it after that.
    pub fn hear_since(&self, moment: Instant) {
        self.hears_since.store(self.nanoseconds(moment), Ordering::Release);
    }

    /// Counts what was taken in. Taken before a question to the list or the store, it tells later whether the answer
    /// can have changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a session that was not revoked in generation `cleared` still is not, as far as a current list can tell.
    /// A generation that is still the same needs no look at the list.
    #[must_use]
    pub fn still_allows(
        &self,
        cleared: &AtomicU64,
        moment: Instant,
        (id, user, authenticated_at): (&TokenHash, &UserId, Timestamp),
    ) -> bool {
        if !self.is_current(moment) {
            return false;
        }
        let generation = self.generation();
        if cleared.load(Ordering::Relaxed) == generation {
            return true;
        }
        let allowed = !self.names(id, user, authenticated_at);
        if allowed {
            cleared.store(generation, Ordering::Relaxed);
        }
        allowed
    }

    fn names(&self, id: &TokenHash, user: &UserId, authenticated_at: Timestamp) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.sessions.contains_key(&short(id))
            || state.users.get(user).is_some_and(|found| authenticated_at <= found.not_after)
    }

    fn nanoseconds(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether this very session is on the list, whatever its age.
    #[must_use]
    pub fn holds_session(&self, id: &TokenHash) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).sessions.contains_key(&short(id))
    }

    /// The highest sequence seen: where the next refresh goes on.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).sequence
    }

    /// Takes in what the store told, in the order of sequence.
    pub fn extend(&self, revocations: &[Revocation]) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for revocation in revocations {
            state.add(&revocation.subject, revocation.not_after, revocation.expires_at);
            state.sequence = state.sequence.max(revocation.sequence);
        }
        if !revocations.is_empty() {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Takes in what this process has just stored, ahead of the next refresh.
    pub fn add(&self, subject: &Subject, not_after: Timestamp, expires_at: Timestamp) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.add(subject, not_after, expires_at);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that the store had nothing newer at `asked`.
    pub fn confirm(&self, asked: Instant) {
        // Of two questions that cross, the later one counts.
        self.confirmed.fetch_max(self.nanoseconds(asked).max(1), Ordering::AcqRel);
    }

    /// Forgets what expired before `before`.
    pub fn forget_expired(&self, before: Timestamp) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before_minute = Minute::of(before);
        state.sessions.retain(|_, expires| *expires >= before_minute);
        state.users.retain(|_, user| user.expires_at >= before);
    }

    /// How many sessions and users are on the list.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.sessions.len() + state.users.len()
    }

    /// Whether nothing is on the list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn add(&mut self, subject: &Subject, not_after: Timestamp, expires_at: Timestamp) {
        match subject {
            Subject::Session(id) => {
                let expires = Minute::of(expires_at);
                let known = self.sessions.entry(short(id)).or_insert(expires);
                *known = (*known).max(expires);
            }
            Subject::User(id) => {
                let fresh = UserRevocation { not_after, expires_at };
                let known = self.users.entry(id.clone()).or_insert(fresh);
                known.not_after = known.not_after.max(not_after);
                known.expires_at = known.expires_at.max(expires_at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1000);

    fn user(name: &str) -> UserId {
        UserId::from_existing(name)
    }

    #[test]
    fn a_list_that_was_never_confirmed_does_not_say_no() {
        let list = RevocationList::default();
        let id = TokenHash::of("s");
        assert_eq!(list.is_revoked(&id, &user("u"), NOW), None);
        list.confirm(Instant::now());
        assert_eq!(list.is_revoked(&id, &user("u"), NOW), Some(false));
    }

    #[test]
    fn sessions_and_users_are_refused() {
        let list = RevocationList::default();
        list.confirm(Instant::now());
        let id = TokenHash::of("s");
        list.add(&Subject::Session(id), NOW, NOW.plus(10));
        assert_eq!(list.is_revoked(&id, &user("u"), NOW), Some(true));
        list.add(&Subject::User(user("v")), NOW, NOW.plus(10));
        let other = TokenHash::of("t");
        assert_eq!(list.is_revoked(&other, &user("v"), NOW), Some(true));
        assert_eq!(list.is_revoked(&other, &user("v"), NOW.plus(1)), Some(false));
    }

    #[test]
    fn what_expired_is_forgotten() {
        let list = RevocationList::default();
        list.add(&Subject::Session(TokenHash::of("s")), NOW, NOW.plus(10));
        list.forget_expired(NOW.plus(10));
        assert_eq!(list.len(), 1);
        list.forget_expired(NOW.plus(10 + 60));
        assert!(list.is_empty());
    }

    #[test]
    fn a_generation_that_is_the_same_has_the_same_answer() {
        let list = RevocationList::default();
        let cleared = AtomicU64::new(list.generation());
        let (id, ada) = (TokenHash::of("s"), user("ada"));
        let allows = |moment| list.still_allows(&cleared, moment, (&id, &ada, NOW));
        let asked = Instant::now();
        assert!(!allows(asked), "never confirmed");
        list.confirm(asked);
        assert!(allows(asked));
        assert!(!allows(asked + STALE_AFTER), "too old to tell");
        list.add(&Subject::Session(TokenHash::of("another")), NOW, NOW.plus(10));
        assert!(allows(asked));
        assert_eq!(cleared.load(Ordering::Relaxed), list.generation());
        list.add(&Subject::User(user("ada")), NOW, NOW.plus(10));
        assert!(!allows(asked) && !allows(asked), "and it stays so");
    }

    #[test]
    fn a_deaf_list_says_no_only_to_whom_the_store_was_asked_for() {
        let list = RevocationList::default();
        let (id, ada, cleared) = (TokenHash::of("s"), user("ada"), AtomicU64::new(list.generation()));
        let before = Instant::now();
        list.confirm(before);
        assert_eq!(list.is_revoked(&id, &ada, NOW), Some(false));
        list.go_deaf();
        assert_eq!(list.is_revoked(&id, &ada, NOW), None);
        assert!(!list.still_allows(&cleared, Instant::now(), (&id, &ada, NOW)));
        let asked = Instant::now();
        assert_eq!(list.is_revoked_as_of(asked, (&id, &ada, NOW)), None);
        list.confirm(asked);
        assert_eq!(list.is_revoked_as_of(asked, (&id, &ada, NOW)), Some(false));
        assert_eq!(list.is_revoked(&id, &ada, NOW), None, "the next one asks again");
        // What is told again begins after the last answer: something may have happened in between.
        let again = asked + Duration::from_millis(1);
        list.hear_since(again);
        assert_eq!(list.is_revoked(&id, &ada, NOW), None);
        list.confirm(again);
        assert!(list.is_current(again) && list.still_allows(&cleared, again, (&id, &ada, NOW)));
        // What is on the list is refused, deaf or not.
        list.add(&Subject::Session(id), NOW, NOW.plus(10));
        list.go_deaf();
        assert_eq!(list.is_revoked(&id, &ada, NOW), Some(true));
    }

    #[test]
    fn a_minute_is_rounded_up_and_never_overflows() {
        assert_eq!(Minute::of(Timestamp(0)), Minute(0));
        assert_eq!(Minute::of(Timestamp(1)), Minute(1));
        assert_eq!(Minute::of(Timestamp(60)), Minute(1));
        assert_eq!(Minute::of(Timestamp(-5)), Minute(0));
        assert_eq!(Minute::of(Timestamp(i64::MAX)), Minute(u32::MAX));
    }
}
