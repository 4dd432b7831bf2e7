//! Reading what the store knows of a session: its row, and whether it was revoked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RevocationList;
use super::data::{Carrier, SessionData, SessionError};
use super::held::Held;
use super::private_cookie::PrivateCookie;
use super::shown::Shown;
use super::verified::Entry;
use crate::clock::Timestamp;
use crate::metrics;
use crate::model::{SessionRecord, Strategy, User};
use crate::secret::Derived;
use crate::store::{self, Store};
use crate::token::Claims;

/// What the two strategies share when there is a store.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) store: Arc<dyn Store>,
    pub(super) revocations: Arc<RevocationList>,
    pub(super) private: Derived<PrivateCookie>,
    /// Held by whoever asks the store about revocations out of turn.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// Revocations read from the store at a time.
const REFRESH_BATCH: u32 = 1000;
/// How long a request waits for another's question to the store.
const PATIENCE: Duration = Duration::from_secs(1);

impl Stored {
    /// Asks the row. A row that is gone was revoked if the list says so; otherwise it had expired and was cleaned up.
    pub(super) async fn read_row(
        &self,
        text: &str,
        carrier: Carrier,
        now: Timestamp,
    ) -> Result<SessionData, SessionError> {
        let (plain, by_previous_secret) = self.private.get().open(text).ok_or(SessionError::Invalid)?;
        let id = plain.hash();
        let found = self.store.find_session(&id).await.map_err(|error| {
            tracing::error!(%error, "a session could not be looked up");
            SessionError::Unavailable
        })?;
        let gone =
            if self.revocations.holds_session(&id) { SessionError::Revoked } else { SessionError::Expired };
        let (record, user) = found.ok_or(gone)?;
        if record.strategy != Strategy::Database || user.disabled_at.is_some() {
            return Err(SessionError::Revoked);
        }
        if now >= record.expires_at {
            return Err(SessionError::Expired);
        }
        let session = session_of(record, &user, carrier).map_err(|error| {
            tracing::error!(%error, "a session could not be read");
            SessionError::Unavailable
        })?;
        Ok(SessionData { by_previous_secret, ..session })
    }

    /// The revocation list's generation, to be taken before anything is asked.
    pub(super) fn generation(&self) -> u64 {
        self.revocations.generation()
    }

    /// Whether a session that was verified a moment ago still holds, as far as that can be told without asking the
    /// store. Any doubt is a no, and leads to the store.
    pub(super) fn still_holds(&self, entry: &Entry) -> bool {
        let moment = Instant::now();
        let session = &entry.session;
        entry.is_fresh(moment)
            && self.revocations.still_allows(
                &entry.cleared,
                moment,
                (&session.id, &session.user_id, session.authenticated_at),
            )
    }

    /// Asks the list in memory. When it cannot tell, because this process slept, the store was away, or what others
    /// revoke is not heard of, the store is asked at once, by one request for all that wait.
    pub(super) async fn check_revoked(&self, session: &SessionData) -> Result<(), SessionError> {
        let arrived = Instant::now();
        let subject = (&session.id, &session.user_id, session.authenticated_at);
        let mut revoked = self.revocations.is_revoked(subject.0, subject.1, subject.2);
        if revoked.is_none()
            && let Ok(_turn) = tokio::time::timeout(PATIENCE, self.turn.lock()).await
        {
            if !self.revocations.is_confirmed_since(arrived)
                && let Err(error) = self.refresh().await
            {
                tracing::error!(%error, "revocations cannot be followed");
            }
            revoked = self.revocations.is_revoked_as_of(arrived, subject);
        }
        match revoked {
            Some(false) => Ok(()),
            Some(true) => Err(SessionError::Revoked),
            None => Err(SessionError::Unavailable),
        }
    }

    /// Reads what was revoked since the list was last read.
    ///
    /// # Errors
    /// [`store::Error`]; the list is as it was then.
    pub(super) async fn refresh(&self) -> Result<(), store::Error> {
        loop {
            let asked = Instant::now();
            let fresh = self.store.revocations_after(self.revocations.sequence(), REFRESH_BATCH).await?;
            self.revocations.extend(&fresh);
            if fresh.len() < REFRESH_BATCH as usize {
                self.revocations.confirm(asked);
                metrics::revocations(self.revocations.len());
                return Ok(());
            }
        }
    }
}

/// The session of a row.
pub(super) fn session_of(
    record: SessionRecord,
    user: &User,
    carrier: Carrier,
) -> Result<SessionData, store::Error> {
    let own = serde_json::from_str(&record.claims);
    let own = Claims(own.map_err(|_| store::Error::Corrupt("a session's claims".to_owned()))?);
    Ok(SessionData {
        id: record.id,
        user_id: record.user_id,
        name: user.name.as_ref().map(|name| name.as_str().to_owned()),
        email: Some(user.email.as_str().to_owned()),
        image: user.image.clone(),
        strategy: record.strategy,
        method: record.method,
        authenticated_at: record.authenticated_at,
        renewed_at: record.renewed_at,
        expires_at: record.expires_at,
        held: Held::row(own),
        carrier,
        by_previous_secret: false,
        shown: Shown::default(),
    })
}
