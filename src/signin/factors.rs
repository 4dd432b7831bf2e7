//! The second proof: what stands between a first proof and a session when somebody has a second factor.
//!
//! # How a sign-in waits
//! The first proof (a password, a link, another site's word) gives no session then, but a *pending sign-in*: a sealed text
//! that names the person and the first proof, lives for ten minutes and opens nothing but the page that asks for the
//! second proof. It is bound to its purpose by its key, so that no guard ever takes it for a session (ASVS 5.0, 6.3.3),
//! and it is spent by the session it leads to.
//!
//! # What counts as a second proof
//! A time-based code, a recovery code, or one of the person's passkeys. Guesses are counted per person, not per address:
//! whoever is here knows the first proof already, and six digits do not withstand many machines. A passkey as the *first*
//! proof is two factors in one and is asked for nothing more.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::enter::Entry;
use super::errors::SignInError;
use super::hooks::Event;
use super::limits::{Counted, LimitHit};
use super::passkey_proof::AnsweredPasskey;
use super::service::SignIn;
use crate::audit::{self, AuditEvent};
use crate::clock::{Clock, Timestamp};
use crate::mail::LetterKind;
use crate::model::{AuthMethod, Factors, SecurityStamp, User, UserId};
use crate::providers::passkeys::{PasskeyError, Passkeys};
use crate::providers::totp::TotpKey;
use crate::providers::{Identity, recovery};
use crate::sealed::{SealError, Sealer, TOTP_SECRETS};
use crate::secret::{PlainToken, Secrets, TokenHash};
use crate::session::Issued;
use crate::store;
use crate::token::Claims;

/// How long a sign-in waits for its second proof, seconds.
pub const PENDING_AGE: i64 = 600;

/// What the second factors need besides the store.
#[derive(Debug, Clone)]
pub struct SecondFactors {
    pub(super) pending: Sealer,
    pub(super) totp: Sealer,
    offers_totp: bool,
    pub(super) challenges: Sealer,
    pub(super) passkeys: Option<Arc<Passkeys>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Why a second proof led to no session.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// The pending sign-in is over, spent or none: the person starts again.
    #[error("the sign-in waited for too long")]
    Expired,
    /// The proof proves nothing.
    #[error("the code or passkey is wrong")]
    Wrong,
    /// The address of the account was never confirmed, so it can be given no factor.
    #[error("the address is not confirmed")]
    Unconfirmed,
    /// Too many guesses.
    #[error("too many attempts; try again in {} seconds", .0.retry_after)]
    Limited(LimitHit),
    /// Everything that can go wrong with any sign-in.
    #[error(transparent)]
    Other(#[from] SignInError),
}

/// A sign-in that waits for its second proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) id: String,
    user: UserId,
    method: AuthMethod,
    /// By which provider the first proof came; unknown to a process of an earlier version.
    #[serde(default)]
    provider: String,
    began: Timestamp,
    /// The person's stamp at the first proof. A pending sign-in without one is of an older version, and over.
    stamp: SecurityStamp,
}

/// A second proof that was found right and is not used up yet.
enum Proven {
    Totp { step: i64, sealed: String, secret: Zeroizing<Vec<u8>> },
    RecoveryCode { hash: TokenHash, left: u64 },
    Passkey(Box<AnsweredPasskey>),
}

/// What a person shows as the second proof.
#[derive(Debug, Clone, Copy)]
pub enum SecondProof<'a> {
    /// A time-based code or a recovery code, as typed.
    Code(&'a str),
    /// A passkey's answer, and the sealed challenge it answers.
    Passkey {
        /// The browser's JSON.
        answer: &'a str,
        /// The sealed challenge.
        challenge: &'a str,
    },
}

impl SecondFactors {
    /// For a site. Time-based codes and passkeys are each offered or not; what people have already is asked for either
    /// way.
    #[must_use]
    pub fn new(secrets: Secrets, clock: Arc<dyn Clock>, totp: bool, passkeys: Option<Passkeys>) -> Self {
        Self {
            pending: Sealer::new(secrets.clone(), "pending sign-in"),
            totp: Sealer::new(secrets.clone(), TOTP_SECRETS),
            offers_totp: totp,
            challenges: Sealer::new(secrets, "passkey challenge"),
            passkeys: passkeys.map(Arc::new),
            clock,
        }
    }

    /// Whether time-based codes are offered.
    #[must_use]
    pub fn offers_totp(&self) -> bool {
        self.offers_totp
    }

    /// Whether passkeys are offered.
    #[must_use]
    pub fn offers_passkeys(&self) -> bool {
        self.passkeys.is_some()
    }

    pub(super) fn open_pending(&self, sealed: &str) -> Result<Pending, FactorError> {
        let pending: Pending = self.pending.open_json("", sealed).ok_or(FactorError::Expired)?;
        let age = self.clock.now().since(pending.began);
        // A clock that was set back must not lengthen a wait.
        if (0..PENDING_AGE).contains(&age) { Ok(pending) } else { Err(FactorError::Expired) }
    }
}

impl From<store::Error> for FactorError {
    fn from(error: store::Error) -> Self {
        Self::Other(error.into())
    }
}

impl From<PasskeyError> for FactorError {
    fn from(error: PasskeyError) -> Self {
        match error {
            PasskeyError::Refused(reason) => {
                tracing::debug!(reason, "a passkey was refused");
                Self::Wrong
            }
            // As every row that cannot be read: unknown, not wrong.
            PasskeyError::Stored => store::Error::Corrupt("a passkey".to_owned()).into(),
        }
    }
}

impl From<SealError> for FactorError {
    fn from(error: SealError) -> Self {
        Self::Other(SignInError::Internal(error.to_string()))
    }
}

impl SignIn {
    /// What the second factors need; absent when the application offers none.
    #[must_use]
    pub fn second_factors(&self) -> Option<&SecondFactors> {
        self.factors.as_deref()
    }

    /// A pending sign-in, when this person has a second factor and the first proof was not two in one.
    pub(super) async fn second_step(&self, identity: &Identity) -> Result<Option<String>, SignInError> {
        if identity.method == AuthMethod::Passkey
            || !self.store.find_factors(&identity.user.id).await?.is_on()
        {
            return Ok(None);
        }
        let internal = |error: &dyn std::fmt::Display| SignInError::Internal(error.to_string());
        let factors = self.factors.as_ref().ok_or_else(|| internal(&"second factors are not set up"))?;
        let pending = Pending {
            id: PlainToken::generate().map_err(|error| internal(&error))?.expose(),
            user: identity.user.id.clone(),
            method: identity.method,
            provider: identity.provider.clone(),
            began: factors.clock.now(),
            stamp: identity.user.security_stamp,
        };
        factors.pending.seal_json("", &pending).map(Some).map_err(|error| internal(&error))
    }

    /// What the person of a pending sign-in can show.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn pending_factors(&self, sealed: &str) -> Result<Factors, FactorError> {
        let pending = self.factors()?.open_pending(sealed)?;
        Ok(self.store.find_factors(&pending.user).await?)
    }

    /// A second proof: the pending sign-in becomes a session and is spent.
    ///
    /// # Errors
    /// [`FactorError`]; no session was begun then.
    pub(crate) async fn by_second_factor(
        &self,
        sealed: &str,
        proof: SecondProof<'_>,
        entry: Entry<'_>,
        language: &str,
    ) -> Result<Issued, FactorError> {
        let factors = self.factors()?;
        let pending = factors.open_pending(sealed)?;
        let user = self.store.find_user(&pending.user).await?.ok_or(FactorError::Expired)?;
        // What ended the person's sessions since the first proof has ended this, too.
        if user.disabled_at.is_some() || user.security_stamp != pending.stamp {
            return Err(FactorError::Expired);
        }
        let receipt = match self.limits.count_second_factor(&user.id).await? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => return Err(self.failed(&user, entry, FactorError::Limited(hit)).await),
        };
        match self.finish(&user, &pending, proof, language).await {
            Ok(claims) => {
                self.limits.take_back(receipt).await;
                Ok(self.begin(&user, (pending.method, &pending.provider), claims, entry).await?)
            }
            Err(FactorError::Wrong) => Err(self.failed(&user, entry, FactorError::Wrong).await),
            Err(error) => {
                // Nothing was compared, or it was right: it was no guess.
                self.limits.take_back(receipt).await;
                Err(error)
            }
        }
    }

    /// The proof is found right, the host is asked for its claims, and only then the proof and the pending sign-in are used
    /// up: a hook that fails leaves both.
    async fn finish(
        &self,
        user: &User,
        pending: &Pending,
        proof: SecondProof<'_>,
        language: &str,
    ) -> Result<Claims, FactorError> {
        let proven = self.check_proof(user, pending, proof).await?;
        let claims = self.first_claims(user, (pending.method, &pending.provider)).await?;
        self.use_up(user, &proven, language).await?;
        let spent = TokenHash::of(&format!("pending sign-in\n{}", pending.id));
        if self.store.spend(&spent, pending.began.plus(PENDING_AGE)).await? {
            Ok(claims)
        } else {
            Err(FactorError::Expired)
        }
    }

    /// The host hears of a wrong second proof as of every failed sign-in.
    async fn failed(&self, user: &User, entry: Entry<'_>, error: FactorError) -> FactorError {
        let code = if matches!(error, FactorError::Limited(_)) { "RateLimited" } else { "SecondFactor" };
        let address = entry.client.address;
        let method = AuthMethod::Unknown;
        self.tell(&Event::SignInFailed { email: Some(&user.email), code, address, method, federated: None })
            .await;
        error
    }

    async fn check_proof(
        &self,
        user: &User,
        pending: &Pending,
        proof: SecondProof<'_>,
    ) -> Result<Proven, FactorError> {
        match proof {
            SecondProof::Code(code) => self.check_code(&user.id, code).await,
            SecondProof::Passkey { answer, challenge } => {
                let answered = self.check_passkey(answer, challenge, &pending.id).await?;
                if answered.user.id != user.id {
                    return Err(FactorError::Wrong);
                }
                Ok(Proven::Passkey(Box::new(answered)))
            }
        }
    }

    async fn check_code(&self, user: &UserId, code: &str) -> Result<Proven, FactorError> {
        let found = self.store.find_factors(user).await?;
        let (factors, code) = (self.factors()?, code.trim());
        let mut is_readable = true;
        if let Some(record) = found.totp {
            let secret = factors.totp.open(user.as_str(), &record.secret);
            let key = secret.as_ref().and_then(|secret| TotpKey::from_bytes(secret));
            is_readable = key.is_some();
            if let Some(secret) = secret
                && let Some(step) = key.and_then(|key| key.step_of(code, factors.clock.now()))
            {
                if step <= record.last_step {
                    return Err(FactorError::Wrong);
                }
                return Ok(Proven::Totp { step, sealed: record.secret, secret });
            }
        }
        match recovery::hash(user, code) {
            Some(hash) if self.store.has_recovery_code(user, &hash).await? => {
                Ok(Proven::RecoveryCode { hash, left: found.recovery_codes.saturating_sub(1) })
            }
            // As every row that cannot be read: unknown, not wrong.
            None if !is_readable => {
                Err(store::Error::Corrupt("the secret of time-based codes".to_owned()).into())
            }
            _ => Err(FactorError::Wrong),
        }
    }

    /// A time-based code is accepted once and only forward; a recovery code and a challenge once. Of several who show the
    /// same at the same moment, one passes.
    async fn use_up(&self, owner: &User, proven: &Proven, language: &str) -> Result<(), FactorError> {
        let user = &owner.id;
        match proven {
            Proven::Totp { step, sealed, secret } => {
                let fresh = self.store.accept_totp_step(user, *step).await?;
                self.reseal_totp(user, sealed, secret).await?;
                if fresh { Ok(()) } else { Err(FactorError::Wrong) }
            }
            Proven::RecoveryCode { hash, left } => {
                if !self.store.spend_recovery_code(user, hash).await? {
                    return Err(FactorError::Wrong);
                }
                self.audit.record(audit::Entry::new(AuditEvent::RecoveryCodeUsed).user(user)).await;
                let kind = LetterKind::RecoveryCodeUsed;
                self.notify_about(kind, &owner.email, language, left.to_string());
                Ok(())
            }
            Proven::Passkey(answered) => self.use_passkey(answered).await,
        }
    }

    /// A secret that an older key sealed is sealed by the newest while it is at hand, so that the old key can go. That it
    /// cannot be stored now is no reason to refuse whoever showed a right code: it is done at the next one.
    async fn reseal_totp(&self, user: &UserId, sealed: &str, secret: &[u8]) -> Result<(), FactorError> {
        let totp = &self.factors()?.totp;
        if totp.is_current(user.as_str(), sealed) {
            return Ok(());
        }
        let anew = totp.seal(user.as_str(), secret)?;
        if let Err(error) = self.store.reseal_totp(user, sealed, &anew).await {
            tracing::warn!(%error, "the secret of somebody's codes could not be sealed anew");
        }
        Ok(())
    }

    pub(super) fn factors(&self) -> Result<&SecondFactors, FactorError> {
        let missing = || SignInError::Internal("second factors are not set up".to_owned());
        self.factors.as_deref().ok_or_else(|| missing().into())
    }
}
