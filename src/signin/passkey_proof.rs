//! Passkeys as a proof: the challenge a browser is given, and its answer.
//!
//! A challenge travels sealed and is spent by its answer. One that was given with a pending sign-in answers that one alone.

use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::DiscoverableAuthentication;

use super::enter::{Entered, Entry, Standing};
use super::factors::FactorError;
use super::hooks::Event;
use super::limits::Counted;
use super::service::SignIn;
use crate::clock::Timestamp;
use crate::model::{AuthMethod, User};
use crate::providers::Identity;
use crate::providers::passkeys::Passkeys;
use crate::secret::TokenHash;

/// How long a challenge for a passkey may take to be answered, seconds.
pub const CHALLENGE_AGE: i64 = 300;

/// A challenge that was given to a browser.
#[derive(Serialize, Deserialize)]
struct Challenge {
    state: DiscoverableAuthentication,
    began: Timestamp,
}

/// A passkey that answered a challenge of ours rightly.
pub(super) struct AnsweredPasskey {
    pub(super) user: User,
    id: TokenHash,
    /// The verifier's state after this answer.
    credential: String,
    /// What the challenge is spent by, and until when that is remembered.
    challenge: TokenHash,
    ends_at: Timestamp,
}

impl SignIn {
    /// Starts asking for a passkey: what the browser is given, and the sealed challenge. With a pending sign-in it is its
    /// second proof, else a sign-in of its own.
    ///
    /// # Errors
    /// [`FactorError`].
    pub fn start_passkey(&self, pending: Option<&str>) -> Result<(serde_json::Value, String), FactorError> {
        let factors = self.factors()?;
        let context = match pending {
            Some(sealed) => factors.open_pending(sealed)?.id,
            None => String::new(),
        };
        let passkeys = factors.passkeys.as_ref().ok_or(FactorError::Wrong)?;
        let (options, state) = passkeys.start_authentication()?;
        let challenge = Challenge { state, began: factors.clock.now() };
        Ok((options, factors.challenges.seal_json(&context, &challenge)?))
    }

    /// Signs in by a passkey alone.
    ///
    /// # Errors
    /// [`FactorError`]; no session was begun then.
    pub(crate) async fn by_passkey(
        &self,
        answer: &str,
        challenge: &str,
        entry: Entry<'_>,
    ) -> Result<Entered, FactorError> {
        let receipt = match self.limits.count_passkey(entry.client.address).await? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => return Err(FactorError::Limited(hit)),
        };
        match self.enter_by_passkey(answer, challenge, entry).await {
            Err(FactorError::Wrong) => {
                let (address, method) = (entry.client.address, AuthMethod::Passkey);
                let code = "Passkey";
                self.tell(&Event::SignInFailed { email: None, code, address, method, federated: None }).await;
                Err(FactorError::Wrong)
            }
            outcome => {
                // It was right, or nothing was compared: it was no guess.
                self.limits.take_back(receipt).await;
                outcome
            }
        }
    }

    async fn enter_by_passkey(
        &self,
        answer: &str,
        challenge: &str,
        entry: Entry<'_>,
    ) -> Result<Entered, FactorError> {
        let answered = self.check_passkey(answer, challenge, "").await?;
        let identity = Identity {
            user: answered.user.clone(),
            method: AuthMethod::Passkey,
            provider: "passkey".to_owned(),
            profile: None,
        };
        self.enter_and(&identity, Standing::Theirs, entry, self.use_passkey(&answered)).await
    }

    /// The passkey that answered a challenge of ours. Nothing is used up yet.
    pub(super) async fn check_passkey(
        &self,
        answer: &str,
        sealed: &str,
        context: &str,
    ) -> Result<AnsweredPasskey, FactorError> {
        let factors = self.factors()?;
        let passkeys = factors.passkeys.as_ref().ok_or(FactorError::Wrong)?;
        let challenge: Challenge = factors.challenges.open_json(context, sealed).ok_or(FactorError::Wrong)?;
        let now = factors.clock.now();
        if !(0..CHALLENGE_AGE).contains(&now.since(challenge.began)) {
            return Err(FactorError::Wrong);
        }
        let (id, answer) = Passkeys::identify(answer)?;
        let (record, user) = self.store.find_passkey(&id).await?.ok_or(FactorError::Wrong)?;
        let verified = passkeys.verify(&answer, challenge.state, &record)?;
        if user.disabled_at.is_some() {
            return Err(FactorError::Wrong);
        }
        if verified.suspicious {
            tracing::warn!(user = %user.id, passkey = %record.id.to_hex(), "a passkey's counter went back");
        }
        Ok(AnsweredPasskey {
            user,
            id,
            credential: verified.credential.unwrap_or(record.credential),
            challenge: TokenHash::of(&format!("passkey challenge\n{sealed}")),
            ends_at: challenge.began.plus(CHALLENGE_AGE),
        })
    }

    /// Spends the challenge, and notes the use.
    pub(super) async fn use_passkey(&self, answered: &AnsweredPasskey) -> Result<(), FactorError> {
        let AnsweredPasskey { id, credential, challenge, ends_at, .. } = answered;
        if !self.store.spend(challenge, *ends_at).await? {
            return Err(FactorError::Wrong);
        }
        // A passkey that was removed meanwhile opens nothing any more.
        let noted = self.store.use_passkey(id, credential, self.factors()?.clock.now()).await?;
        if noted { Ok(()) } else { Err(FactorError::Wrong) }
    }
}
