//! E-mail address and password.

use std::sync::Arc;

use super::Identity;
use super::hasher::{HashError, Hasher, Verdict};
use crate::model::{AuthMethod, Email};
use crate::secret::Password;
use crate::store::{self, Store, UserWithPassword};

/// Why nobody was identified.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// No such person, another password, or a disabled account: one answer for all three.
    #[error("the address or the password is wrong")]
    Wrong,
    /// The password could not be compared.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Knows people by their passwords.
#[derive(Debug, Clone)]
pub struct Credentials {
    store: Arc<dyn Store>,
    hasher: Hasher,
}

impl Credentials {
    /// With this store and this pool.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, hasher: Hasher) -> Self {
        Self { store, hasher }
    }

    /// The pool that hashes.
    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Who has this address and this password. A text that is no address costs the same work as one that is unknown,
    /// and so does a wrong password: the time tells nothing (ASVS 5.0, 6.3.8).
    ///
    /// # Errors
    /// [`CredentialsError::Wrong`], or why it could not be told.
    pub async fn identify(
        &self,
        email: Option<&Email>,
        password: &Password,
    ) -> Result<Identity, CredentialsError> {
        let found = match email {
            Some(email) => self.store.find_user_by_email(email).await?,
            None => None,
        };
        let stored = found.as_ref().and_then(|found| found.password_hash.as_deref());
        let verdict = self.hasher.verify(password, stored).await?;
        let (Verdict::Right { outdated }, Some(UserWithPassword { user, password_hash })) = (verdict, found)
        else {
            return Err(CredentialsError::Wrong);
        };
        if user.disabled_at.is_some() {
            return Err(CredentialsError::Wrong);
        }
        if let Some(old) = password_hash.filter(|_| outdated) {
            self.strengthen(&user.id, &old, password).await;
        }
        Ok(Identity { user, method: AuthMethod::Pwd, provider: "credentials".to_owned(), profile: None })
    }

    /// Replaces a hash made with weaker parameters while the password is at hand. That it fails is no reason to
    /// refuse a right password: the next sign-in tries again. A password that was changed meanwhile stays changed.
    async fn strengthen(&self, user: &crate::model::UserId, old: &str, password: &Password) {
        let hash = match self.hasher.hash(password).await {
            Ok(hash) => hash,
            Err(error) => return tracing::warn!(%error, "a password could not be hashed anew"),
        };
        if let Err(error) = self.store.strengthen_hash(user, old, &hash).await {
            tracing::warn!(%error, "a stronger password hash could not be stored");
        }
    }
}
