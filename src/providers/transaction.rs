//! A sign-in that is under way: what the browser keeps while the person is at another site.
//!
//! Sealed under a key of its own, for one provider and one cookie: a value that is moved to another provider's callback or
//! another cookie's name does not open, and it is a session for nobody. Each has its own cookie, named after its state, so
//! that two tabs both come to an end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ProviderError;
use crate::clock::Timestamp;
use crate::model::UserId;
use crate::sealed::Sealer;
use crate::secret::{Secrets, TokenHash, random_bytes, same_text};

/// How long somebody may be away, seconds.
pub const MAX_AGE: i64 = 15 * 60;

/// What is remembered.
#[derive(Clone, Serialize, Deserialize)]
pub struct Transaction {
    /// Bound to the browser by its cookie (RFC 6749 section 10.12).
    pub(crate) state: String,
    /// Bound to the ID token.
    pub(crate) nonce: String,
    /// Bound to the code (RFC 7636).
    pub(crate) verifier: String,
    /// Where the person goes afterwards.
    pub(crate) callback_url: String,
    /// Who was signed in when it began: the account is linked to them, or to nobody.
    pub(crate) user: Option<UserId>,
    /// Whether that person had proven a moment before who they are.
    #[serde(default)]
    pub(crate) may_link: bool,
    /// When it began.
    pub(crate) started_at: Timestamp,
}

/// Who is sent to another site.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leaving<'a> {
    /// Who is signed in.
    pub(crate) user: Option<&'a UserId>,
    /// Whether they proved a moment ago who they are.
    pub(crate) may_link: bool,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transaction([redacted])")
    }
}

impl Transaction {
    /// A fresh one.
    pub(super) fn begin(
        callback_url: &str,
        leaving: Leaving<'_>,
        now: Timestamp,
    ) -> Result<Self, ProviderError> {
        let random = || {
            let bytes = random_bytes::<32>().map_err(|error| ProviderError::Internal(error.to_string()))?;
            Ok::<_, ProviderError>(URL_SAFE_NO_PAD.encode(bytes))
        };
        Ok(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            callback_url: callback_url.to_owned(),
            user: leaving.user.cloned(),
            may_link: leaving.may_link,
            started_at: now,
        })
    }

    /// The challenge of RFC 7636 section 4.2, by S256.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()))
    }

    /// Under which the store notes that it came back.
    pub(crate) fn hash(&self) -> TokenHash {
        // Other things are spent in the same table.
        TokenHash::of(&format!("OAuth state {}", self.state))
    }

    /// When it can no longer come back.
    pub(crate) fn ends_at(&self) -> Timestamp {
        self.started_at.plus(MAX_AGE)
    }
}

/// The part of the cookie's name that belongs to a state: not the state itself, which only the value holds.
#[must_use]
pub fn cookie_id(state: &str) -> String {
    TokenHash::of(state).to_hex().chars().take(16).collect()
}

/// Seals and opens transactions.
#[derive(Debug, Clone)]
pub(super) struct Transactions(Sealer);

impl Transactions {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self(Sealer::new(secrets.clone(), "OAuth transaction"))
    }

    pub(super) fn seal(&self, provider: &str, transaction: &Transaction) -> Result<String, ProviderError> {
        let place = place(provider, &transaction.state);
        self.0.seal_json(&place, transaction).map_err(|error| ProviderError::Internal(error.to_string()))
    }

    /// The transaction of this provider, with this state, that is not over.
    pub(super) fn open(
        &self,
        provider: &str,
        state: &str,
        sealed: &str,
        now: Timestamp,
    ) -> Option<Transaction> {
        let found: Transaction = self.0.open_json(&place(provider, state), sealed)?;
        let in_time = (-crate::token::CLOCK_TOLERANCE..=MAX_AGE).contains(&now.since(found.started_at));
        (in_time && same_text(&found.state, state)).then_some(found)
    }
}

fn place(provider: &str, state: &str) -> String {
    format!("{provider} {}", cookie_id(state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, SecretRing};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    #[test]
    fn a_transaction_opens_for_its_provider_and_state_in_time() {
        let transactions = Transactions::new(&Secrets::new(SecretRing::new(Secret::new("secret"), vec![])));
        let begun = Transaction::begin("/x", Leaving::default(), NOW).unwrap();
        let other = Transaction::begin("/x", Leaving::default(), NOW).unwrap();
        let sealed = transactions.seal("acme", &begun).unwrap();
        assert!(!sealed.contains(&begun.state) && sealed.len() < 1000, "{}", sealed.len());
        let open = |provider, state: &str, now| transactions.open(provider, state, &sealed, now).is_some();
        assert!(open("acme", &begun.state, NOW.plus(MAX_AGE)));
        assert!(!open("acme", &begun.state, NOW.plus(MAX_AGE + 1)));
        assert!(!open("acme", &begun.state, NOW.plus(-60)));
        assert!(!open("other", &begun.state, NOW));
        assert!(!open("acme", &other.state, NOW));
        assert!(!open("acme", "", NOW));
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let mut transaction = Transaction::begin("/x", Leaving::default(), NOW).unwrap();
        transaction.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        assert_eq!(transaction.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
