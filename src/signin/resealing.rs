//! Sealing anew what the store keeps, after the secrets were replaced.
//!
//! Tokens of other sites and the secrets of time-based codes are sealed by the newest secret of their day. Each is sealed
//! anew when it is next used, which may be never; so every instance goes through all of them, soon after it started or its
//! secrets were replaced, and again every hour while more than one secret is known (an instance that was not told of the
//! newest one yet goes on sealing by the one before). `countersign reseal` does the same at once, and says that nothing is
//! left: then the old secret can leave, and nothing is lost with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sealed::{PROVIDER_TOKENS, SealError, Sealer, TOTP_SECRETS};
use crate::secret::Secrets;
use crate::store::{self, Store};

/// Rows looked at in one step.
const BATCH: u32 = 200;
/// How often is looked whether the secrets were replaced.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long one pass counts.
const AGAIN_AFTER: Duration = Duration::from_hours(1);

/// Goes through everything that is sealed in a store.
#[derive(Debug, Clone)]
pub struct Resealing {
    store: Arc<dyn Store>,
    secrets: Secrets,
    tokens: Sealer,
    totp: Sealer,
}

/// What came of one kind of sealed texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// The newest secret had sealed them already.
    pub current: u64,
    /// Sealed anew.
    pub renewed: u64,
    /// No secret that is known opens them: they were lost when theirs left.
    pub lost: u64,
}

/// What came of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct ResealReport {
    /// People's tokens at other sites.
    pub tokens: Resealed,
    /// The secrets of time-based codes.
    pub totp: Resealed,
}

/// Why not everything was sealed anew. What was, stays so.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Nothing can be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Resealing {
    /// Of what this store keeps, by these secrets.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, secrets: &Secrets) -> Self {
        Self {
            store,
            tokens: Sealer::new(secrets.clone(), PROVIDER_TOKENS),
            totp: Sealer::new(secrets.clone(), TOTP_SECRETS),
            secrets: secrets.clone(),
        }
    }

    /// Goes through all of it. What somebody else changes meanwhile is left as they made it. It may run anywhere and at
    /// any time, on several instances at once.
    ///
    /// # Errors
    /// [`ResealError`]; run it again then.
    pub async fn run(&self) -> Result<ResealReport, ResealError> {
        Ok(ResealReport { tokens: self.all_tokens().await?, totp: self.all_totp().await? })
    }

    async fn all_tokens(&self) -> Result<Resealed, ResealError> {
        let (mut done, mut after) = (Resealed::default(), String::new());
        loop {
            let batch = self.store.list_tokens(&after, BATCH).await?;
            let Some(last) = batch.last() else {
                return Ok(done);
            };
            last.account.clone_into(&mut after);
            for row in &batch {
                match anew(&self.tokens, &row.account, &row.sealed)? {
                    Found::Current => done.current += 1,
                    Found::Lost => done.lost += 1,
                    Found::Old(new) => {
                        let changed = self.store.reseal_tokens(&row.account, &row.sealed, &new).await?;
                        done.renewed += u64::from(changed);
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn all_totp(&self) -> Result<Resealed, ResealError> {
        let (mut done, mut after) = (Resealed::default(), String::new());
        loop {
            let batch = self.store.list_totp(&after, BATCH).await?;
            let Some((last, _)) = batch.last() else {
                return Ok(done);
            };
            last.as_str().clone_into(&mut after);
            for (user, sealed) in &batch {
                match anew(&self.totp, user.as_str(), sealed)? {
                    Found::Current => done.current += 1,
                    Found::Lost => done.lost += 1,
                    Found::Old(new) => {
                        let changed = self.store.reseal_totp(user, sealed, &new).await?;
                        done.renewed += u64::from(changed);
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Goes through it whenever there is reason to. A store that is down is tried again.
    pub(crate) async fn follow(self) {
        let mut done: Option<(u64, Instant)> = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let generation = self.secrets.generation();
            let is_fresh = |(of, at): &(u64, Instant)| *of == generation && at.elapsed() < AGAIN_AFTER;
            if self.secrets.ring().all().count() < 2 || done.as_ref().is_some_and(is_fresh) {
                continue;
            }
            match self.run().await {
                Ok(report) => {
                    report.log();
                    done = Some((generation, Instant::now()));
                }
                Err(error) => tracing::warn!(%error, "not everything could be sealed anew; tried again"),
            }
        }
    }
}

impl ResealReport {
    /// What was sealed anew.
    #[must_use]
    pub const fn renewed(&self) -> u64 {
        self.tokens.renewed + self.totp.renewed
    }

    /// What no secret opens.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.tokens.lost + self.totp.lost
    }

    fn log(&self) {
        let (tokens, totp) = (self.tokens.renewed, self.totp.renewed);
        tracing::info!(tokens, totp, "everything that is kept is sealed by the newest secret");
        if self.lost() > 0 {
            let (tokens, totp) = (self.tokens.lost, self.totp.lost);
            tracing::warn!(tokens, totp, "sealed by a secret that is not known: these cannot be read");
        }
    }
}

enum Found {
    Current,
    Old(String),
    Lost,
}

fn anew(by: &Sealer, context: &str, sealed: &str) -> Result<Found, SealError> {
    if by.is_current(context, sealed) {
        return Ok(Found::Current);
    }
    match by.open(context, sealed) {
        Some(plain) => Ok(Found::Old(by.seal(context, &plain)?)),
        None => Ok(Found::Lost),
    }
}
