//! Passkeys (Web Authentication): a proof of possession that no other site can ask for, verified by `webauthn-rs`.
//!
//! The browser's half of a ceremony starts with a challenge of ours. What must be remembered of it travels in a sealed
//! cookie, so that asking for challenges costs the store nothing; a challenge that was answered is noted as spent, so that
//! no answer works twice. Every ceremony demands that the authenticator verified the person (fingerprint, face or PIN),
//! which makes a passkey two factors in one: it is asked for nothing more.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::config::SiteUrl;
use crate::model::{PasskeyRecord, User, UserId};
use crate::secret::TokenHash;

/// The longest answer of a browser that is looked at, bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Runs the ceremonies for one site.
#[derive(Debug)]
pub struct Passkeys {
    webauthn: Webauthn,
}

/// Why a ceremony failed.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The browser's answer is not well-formed, or proves nothing.
    #[error("the passkey's answer proves nothing: {0}")]
    Refused(String),
    /// A stored credential cannot be read.
    #[error("a stored passkey cannot be read")]
    Stored,
}

/// What a verified answer proves.
#[derive(Debug)]
pub struct Verified {
    /// The credential with its new counter, to be stored; `None` when nothing changed.
    pub credential: Option<String>,
    /// The counter went back: somebody may have copied the key. It is logged; a lock would punish the owner.
    pub suspicious: bool,
}

impl Passkeys {
    /// For a site; `None` where passkeys cannot work, which is a site without a name (an IP address).
    #[must_use]
    pub fn new(url: &SiteUrl, site_name: &str) -> Option<Self> {
        let origin = Url::parse(&url.origin).ok()?;
        let domain = origin.domain()?;
        let builder = WebauthnBuilder::new(domain, &origin).ok()?.rp_name(site_name);
        builder.build().ok().map(|webauthn| Self { webauthn })
    }

    /// Starts adding a passkey: what the browser is given, and what must be remembered.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn start_registration(
        &self,
        user: &User,
        existing: &[PasskeyRecord],
    ) -> Result<(Value, PasskeyRegistration), PasskeyError> {
        let known = existing.iter().map(|record| Ok(stored(&record.credential)?.cred_id().clone()));
        let known = known.collect::<Result<Vec<_>, PasskeyError>>()?;
        let name = user.email.as_str();
        let shown = user.name.as_ref().map_or(name, |name| name.as_str());
        let (options, state) =
            self.webauthn.start_passkey_registration(handle(&user.id), name, shown, Some(known))?;
        let mut options = serde_json::to_value(options).map_err(|_| PasskeyError::Stored)?;
        // The passkey is to be found by the browser without a name being typed.
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection") {
            selection["residentKey"] = json!("required");
            selection["requireResidentKey"] = json!(true);
        }
        Ok((options, state))
    }

    /// Ends adding a passkey: its id, and the credential to be stored.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn finish_registration(
        &self,
        answer: &str,
        state: &PasskeyRegistration,
    ) -> Result<(TokenHash, String), PasskeyError> {
        let answer: RegisterPublicKeyCredential = parse(answer)?;
        let passkey = self.webauthn.finish_passkey_registration(&answer, state)?;
        let credential = serde_json::to_string(&passkey).map_err(|_| PasskeyError::Stored)?;
        Ok((id_of(passkey.cred_id().as_ref()), credential))
    }

    /// Starts a sign-in, for whoever has a passkey for this site.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn start_authentication(&self) -> Result<(Value, DiscoverableAuthentication), PasskeyError> {
        let (options, state) = self.webauthn.start_discoverable_authentication()?;
        Ok((serde_json::to_value(options).map_err(|_| PasskeyError::Stored)?, state))
    }

    /// Which passkey an answer speaks for, before anything of it is believed.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn identify(answer: &str) -> Result<(TokenHash, PublicKeyCredential), PasskeyError> {
        let answer: PublicKeyCredential = parse(answer)?;
        Ok((id_of(answer.get_credential_id()), answer))
    }

    /// Verifies an answer against the passkey it speaks for.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn verify(
        &self,
        answer: &PublicKeyCredential,
        state: DiscoverableAuthentication,
        record: &PasskeyRecord,
    ) -> Result<Verified, PasskeyError> {
        // The person the authenticator names must be the owner of the credential it uses.
        if answer.get_user_unique_id().is_some_and(|named| named != handle(&record.user_id).as_bytes()) {
            return Err(PasskeyError::Refused("the credential is another person's".to_owned()));
        }
        let mut passkey = stored(&record.credential)?;
        let result = self.webauthn.finish_discoverable_authentication_v2(answer, state, &passkey);
        let result = match result {
            Ok(result) => result,
            Err(WebauthnError::CredentialPossibleCompromise) => {
                return Ok(Verified { credential: None, suspicious: true });
            }
            Err(error) => return Err(error.into()),
        };
        let changed = passkey.update_credential(&result).unwrap_or(false);
        let credential = changed.then(|| serde_json::to_string(&passkey).ok()).flatten();
        Ok(Verified { credential, suspicious: false })
    }
}

impl From<WebauthnError> for PasskeyError {
    fn from(error: WebauthnError) -> Self {
        Self::Refused(error.to_string())
    }
}

fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, PasskeyError> {
    if answer.len() > MAX_ANSWER {
        return Err(PasskeyError::Refused("it is too large".to_owned()));
    }
    serde_json::from_str(answer).map_err(|_| PasskeyError::Refused("it is not well-formed".to_owned()))
}

fn stored(credential: &str) -> Result<Passkey, PasskeyError> {
    serde_json::from_str(credential).map_err(|_| PasskeyError::Stored)
}

fn id_of(credential: &[u8]) -> TokenHash {
    TokenHash::of_bytes(credential)
}

/// The user handle: opaque, stable, and telling nothing about the person (Web Authentication section 14.6.1).
fn handle(user: &UserId) -> Uuid {
    let hash = TokenHash::of(&format!("passkey user handle\n{user}"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    Uuid::from_bytes(bytes)
}
