//! What was revoked, in memory.
//!
//! A JSON Web Token is good until it expires, whatever happens; so what ends one early must be remembered. The store
//! keeps every revocation until the revoked session would have ended by itself; this list is its image in memory, read
//! at launch and followed from then on, so that a guard asks no database.
//!
//! A process that revokes something adds it here at once. What another process revokes arrives within
//! [`REFRESH_EVERY`]. When the store could not be asked for [`STALE_AFTER`], the list no longer answers: guards then say
//! "unknown" (503), never "signed in".

use std::collections::HashMap;
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
#[derive(Debug, Default)]
pub struct RevocationList {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<TokenHash, Timestamp>,
    users: HashMap<UserId, UserRevocation>,
    sequence: i64,
    confirmed: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct UserRevocation {
    not_after: Timestamp,
    expires_at: Timestamp,
}

impl RevocationList {
    /// Whether this session, of this user, was revoked; `None` when the list is too old to tell.
    #[must_use]
    pub fn is_revoked(&self, id: &TokenHash, user: &UserId, authenticated_at: Timestamp) -> Option<bool> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let confirmed = state.confirmed?;
        let session = state.sessions.contains_key(id);
        let user = state.users.get(user).is_some_and(|found| authenticated_at <= found.not_after);
        if session || user {
            return Some(true);
        }
        (confirmed.elapsed() < STALE_AFTER).then_some(false)
    }

    /// Whether this very session is on the list, whatever its age.
    #[must_use]
    pub fn holds_session(&self, id: &TokenHash) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).sessions.contains_key(id)
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
    }

    /// Takes in what this process has just stored, ahead of the next refresh.
    pub fn add(&self, subject: &Subject, not_after: Timestamp, expires_at: Timestamp) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).add(subject, not_after, expires_at);
    }

    /// Notes that the store had nothing newer at `asked`.
    pub fn confirm(&self, asked: Instant) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).confirmed = Some(asked);
    }

    /// Forgets what expired before `before`.
    pub fn forget_expired(&self, before: Timestamp) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.sessions.retain(|_, expires_at| *expires_at >= before);
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
                let known = self.sessions.entry(*id).or_insert(expires_at);
                *known = (*known).max(expires_at);
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
        list.forget_expired(NOW.plus(11));
        assert!(list.is_empty());
    }
}
