//! Switching second factors on and off.
//!
//! Every change ends all other sessions in the same act: no cookie from before a factor was on opens anything afterwards,
//! and somebody who got in without being noticed is out when a factor changes. Who may change them is the routes' to ask:
//! they demand a recent authentication. Whose account may be given one is asked here, by [`Confirmed`].

use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::PasskeyRegistration;

use super::confirmed::Confirmed;
use super::errors::SignInError;
use super::factors::FactorError;
use super::notices::Owner;
use super::passkey_proof::CHALLENGE_AGE;
use super::service::SignIn;
use crate::audit::{AuditEvent, Entry};
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{DisplayName, Factors, PasskeyRecord, TotpRecord};
use crate::providers::recovery;
use crate::providers::totp::TotpKey;
use crate::secret::TokenHash;
use crate::session::SessionData;
use crate::store::{Ends, PasskeyAdded};

/// Passkeys that one person can have.
const MOST_PASSKEYS: u32 = 20;

/// A secret that is about to be shared with the person's app.
#[derive(Debug)]
pub struct TotpSetup {
    /// The secret, sealed for this person: it comes back with the first code.
    pub sealed: String,
    /// What a person types who has no camera.
    pub base32: String,
    /// What apps read.
    pub url: String,
    /// The same as a picture, SVG.
    pub qr: Option<String>,
}

/// A challenge for adding a passkey.
#[derive(Serialize, Deserialize)]
struct Registration {
    state: PasskeyRegistration,
    began: Timestamp,
}

impl SignIn {
    /// What somebody has.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn factors_of(&self, session: &SessionData) -> Result<Factors, FactorError> {
        Ok(self.store.find_factors(&session.user_id).await?)
    }

    /// Makes a secret for time-based codes, or takes the one that was `sealed` before, so that a mistyped code does not mean a
    /// new picture. Nothing is on before a first code was shown.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn start_totp(
        &self,
        session: &SessionData,
        sealed: Option<&str>,
    ) -> Result<TotpSetup, FactorError> {
        let factors = self.factors()?;
        if !factors.offers_totp() {
            return Err(FactorError::Wrong);
        }
        let owner = self.confirmed(session).await?;
        let internal = |error: &dyn std::fmt::Display| SignInError::Internal(error.to_string());
        let shown = sealed.and_then(|sealed| factors.totp.open(session.user_id.as_str(), sealed));
        let key = match shown.and_then(|secret| TotpKey::from_bytes(&secret)) {
            Some(key) => key,
            None => TotpKey::generate().map_err(|error| internal(&error))?,
        };
        let url = key.url(&self.site_name, owner.user().email.as_str()).map_err(|error| internal(&error))?;
        let sealed = factors.totp.seal(session.user_id.as_str(), key.expose())?;
        Ok(TotpSetup { sealed, base32: key.to_base32(), qr: TotpKey::qr(&url), url })
    }

    /// Switches time-based codes on by a first code. The answer is the recovery codes to be shown once, when there were none.
    ///
    /// # Errors
    /// [`FactorError`]; nothing changed then.
    pub async fn enable_totp(
        &self,
        session: &SessionData,
        sealed: &str,
        code: &str,
        language: &str,
    ) -> Result<Vec<String>, FactorError> {
        let factors = self.factors()?;
        if !factors.offers_totp() {
            return Err(FactorError::Wrong);
        }
        let owner = self.confirmed(session).await?;
        let secret = factors.totp.open(session.user_id.as_str(), sealed).ok_or(FactorError::Expired)?;
        let key = TotpKey::from_bytes(&secret).ok_or(FactorError::Expired)?;
        let now = factors.clock.now();
        let last_step = key.step_of(code.trim(), now).ok_or(FactorError::Wrong)?;
        let (codes, hashes) = self.fresh_codes(&owner).await?;
        // The page may be older than the newest secret: what is kept is sealed by that one.
        let secret = factors.totp.seal(session.user_id.as_str(), &secret)?;
        let totp = TotpRecord { secret, last_step, created_at: now };
        let enabled = self.store.enable_totp(&session.user_id, &totp, &hashes, self.ends(session)).await?;
        if !enabled {
            return Err(FactorError::Expired);
        }
        let owner = Owner::of(owner.user(), language);
        self.factors_changed(session, "totp_on", LetterKind::TotpOn, &owner).await;
        Ok(codes)
    }

    /// Switches time-based codes off.
    ///
    /// # Errors
    /// [`FactorError`]; nothing changed then.
    pub async fn disable_totp(&self, session: &SessionData, language: &str) -> Result<(), FactorError> {
        let owner = self.owner(session, language).await?;
        if self.store.remove_totp(&session.user_id, self.ends(session)).await? {
            self.factors_changed(session, "totp_off", LetterKind::TotpOff, &owner).await;
        }
        Ok(())
    }

    /// Replaces the recovery codes; the answer is to be shown once.
    ///
    /// # Errors
    /// [`FactorError`]; the old ones still work then.
    pub async fn renew_recovery_codes(
        &self,
        session: &SessionData,
        language: &str,
    ) -> Result<Vec<String>, FactorError> {
        let owner = self.confirmed(session).await?;
        let (codes, hashes) = make_codes(&owner)?;
        if !self.store.replace_recovery_codes(&session.user_id, &session.id, &hashes).await? {
            return Err(FactorError::Expired);
        }
        self.record(session, "recovery_codes_renewed").await;
        self.notify_owner(LetterKind::RecoveryCodesRenewed, &Owner::of(owner.user(), language));
        Ok(codes)
    }

    /// Starts adding a passkey: what the browser is given, and the sealed challenge.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn start_adding_passkey(
        &self,
        session: &SessionData,
    ) -> Result<(serde_json::Value, String), FactorError> {
        let factors = self.factors()?;
        let passkeys = factors.passkeys.as_ref().ok_or(FactorError::Wrong)?;
        let owner = self.confirmed(session).await?;
        let existing = self.store.find_factors(&session.user_id).await?.passkeys;
        let (options, state) = passkeys.start_registration(owner.user(), &existing)?;
        let registration = Registration { state, began: factors.clock.now() };
        Ok((options, factors.challenges.seal_json(&context(session), &registration)?))
    }

    /// Adds the passkey that answered. The answer is the recovery codes to be shown once, when there were none.
    ///
    /// # Errors
    /// [`FactorError`]; nothing changed then.
    pub async fn add_passkey(
        &self,
        session: &SessionData,
        answer: &str,
        challenge: &str,
        name: &str,
        language: &str,
    ) -> Result<Vec<String>, FactorError> {
        let factors = self.factors()?;
        let passkeys = factors.passkeys.as_ref().ok_or(FactorError::Wrong)?;
        let owner = self.confirmed(session).await?;
        let registration: Registration =
            factors.challenges.open_json(&context(session), challenge).ok_or(FactorError::Expired)?;
        let now = factors.clock.now();
        if !(0..CHALLENGE_AGE).contains(&now.since(registration.began)) {
            return Err(FactorError::Expired);
        }
        let (id, credential) = passkeys.finish_registration(answer, &registration.state)?;
        let (codes, hashes) = self.fresh_codes(&owner).await?;
        // Last, so that a question that fails uses up nothing.
        let spent = TokenHash::of(&format!("passkey challenge\n{challenge}"));
        if !self.store.spend(&spent, registration.began.plus(CHALLENGE_AGE)).await? {
            return Err(FactorError::Expired);
        }
        let name = DisplayName::parse(name).map_or_else(|_| String::new(), |name| name.as_str().to_owned());
        let user_id = session.user_id.clone();
        let passkey = PasskeyRecord { id, user_id, name, credential, created_at: now, last_used_at: None };
        let added = self.store.add_passkey(&passkey, MOST_PASSKEYS, &hashes, self.ends(session)).await?;
        if added == PasskeyAdded::Refused {
            return Err(FactorError::Wrong);
        }
        let owner = Owner::of(owner.user(), language);
        self.factors_changed(session, "passkey_added", LetterKind::PasskeyAdded, &owner).await;
        Ok(codes)
    }

    /// Removes a passkey. `false` when it is not this person's.
    ///
    /// # Errors
    /// [`FactorError`]; nothing changed then.
    pub async fn remove_passkey(
        &self,
        session: &SessionData,
        id: &TokenHash,
        language: &str,
    ) -> Result<bool, FactorError> {
        let owner = self.owner(session, language).await?;
        let removed = self.store.remove_passkey(&session.user_id, id, self.ends(session)).await?;
        if removed {
            self.factors_changed(session, "passkey_removed", LetterKind::PasskeyRemoved, &owner).await;
        }
        Ok(removed)
    }

    async fn record(&self, session: &SessionData, change: &'static str) {
        let entry = Entry::new(AuditEvent::SecondFactorChanged).user(&session.user_id).session(&session.id);
        self.audit.record(entry.detail("change", change)).await;
    }

    /// New recovery codes, unless the person has some already.
    async fn fresh_codes(&self, owner: &Confirmed) -> Result<(Vec<String>, Vec<TokenHash>), FactorError> {
        let has_some = self.store.find_factors(&owner.user().id).await?.recovery_codes > 0;
        if has_some { Ok((Vec::new(), Vec::new())) } else { make_codes(owner) }
    }

    fn ends<'a>(&self, session: &'a SessionData) -> Ends<'a> {
        Ends { keep: Some(&session.id), until: self.sessions.revoke_until() }
    }

    /// It is done, and other sessions ended. Nothing that comes now may fail: the answer can hold codes that are shown once.
    async fn factors_changed(
        &self,
        session: &SessionData,
        change: &'static str,
        notice: LetterKind,
        owner: &Owner<'_>,
    ) {
        self.record(session, change).await;
        self.notify_owner(notice, owner);
        self.sessions.learn_of_ended(&session.user_id).await;
    }
}

fn context(session: &SessionData) -> String {
    format!("add {}", session.user_id)
}

fn make_codes(owner: &Confirmed) -> Result<(Vec<String>, Vec<TokenHash>), FactorError> {
    let codes = recovery::generate().map_err(|error| SignInError::Internal(error.to_string()))?;
    let hashes = codes.iter().filter_map(|code| recovery::hash(&owner.user().id, code)).collect();
    Ok((codes, hashes))
}
