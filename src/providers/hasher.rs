//! Password hashing in a bounded pool.
//!
//! Argon2id takes 19 MiB and tens of milliseconds by design. Unbounded, a burst of sign-ins would take gigabytes and
//! every core; so at most one hash per core runs at a time, a bounded number waits, and nobody waits longer than a
//! deadline. Beyond that the answer is "try again in a moment", at once, and everything else stays responsive.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::CredentialsConfig;
use crate::secret::{EntropyError, Password, random_bytes};

/// Why nothing was hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many are waiting; try again after so many seconds.
    #[error("too many passwords are being checked at the moment")]
    Busy {
        /// Seconds after which trying again makes sense.
        retry_after: u32,
    },
    /// No random bytes for a salt.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The stored hash is none.
    #[error("a stored password hash cannot be read: {0}")]
    Corrupt(String),
    /// The parameters are unusable, or the worker was lost.
    #[error("a password could not be hashed: {0}")]
    Failed(String),
}

/// What came of comparing a password with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right {
        /// The stored hash is weaker than what is configured now: hash anew while the password is at hand.
        outdated: bool,
    },
}

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    params: Params,
    cores: Arc<Semaphore>,
    places: Arc<Semaphore>,
    deadline: Duration,
    decoy: String,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("params", &self.params)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Hasher {
    /// A pool as configured. Makes one hash, against which passwords of unknown users are compared.
    ///
    /// # Errors
    /// [`HashError::Failed`] when the parameters are none that Argon2 knows.
    pub fn new(config: &CredentialsConfig) -> Result<Self, HashError> {
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, None)
            .map_err(|error| HashError::Failed(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let decoy = hash_now(&argon2, b"nobody's password", &random_bytes()?)?;
        Ok(Self {
            inner: Arc::new(Inner {
                argon2,
                params,
                cores: Arc::new(Semaphore::new(cores)),
                places: Arc::new(Semaphore::new(cores + config.queue as usize)),
                deadline: Duration::from_secs(config.queue_deadline.into()),
                decoy,
            }),
        })
    }

    /// The hash of a new password, in PHC string format.
    ///
    /// # Errors
    /// [`HashError`]; nothing was hashed then.
    pub async fn hash(&self, password: &Password) -> Result<String, HashError> {
        let salt = random_bytes()?;
        let (inner, password) = (Arc::clone(&self.inner), password.clone());
        self.run(move || hash_now(&inner.argon2, password.expose().as_bytes(), &salt)).await?
    }

    /// Compares a password with a stored hash. Without one (no such user, no password) the same work is done against
    /// a hash of nobody, and the verdict is [`Verdict::Wrong`].
    ///
    /// # Errors
    /// [`HashError`]; nothing was compared then.
    pub async fn verify(&self, password: &Password, stored: Option<&str>) -> Result<Verdict, HashError> {
        let (inner, password) = (Arc::clone(&self.inner), password.clone());
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.inner.decoy).to_owned();
        self.run(move || {
            let hash = PasswordHash::new(&stored).map_err(|error| HashError::Corrupt(error.to_string()))?;
            let same = inner.argon2.verify_password(password.expose().as_bytes(), &hash).is_ok();
            let outdated = Params::try_from(&hash).map_or(true, |used| is_weaker(&used, &inner.params));
            Ok(if same && known { Verdict::Right { outdated } } else { Verdict::Wrong })
        })
        .await?
    }

    /// Runs `work` on a blocking thread once a core is free, or says that it is busy.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let busy =
            HashError::Busy { retry_after: 1 + u32::try_from(self.inner.deadline.as_secs()).unwrap_or(0) };
        let Ok(place) = Arc::clone(&self.inner.places).try_acquire_owned() else {
            return Err(busy);
        };
        let Ok(Ok(core)) = timeout(self.inner.deadline, Arc::clone(&self.inner.cores).acquire_owned()).await
        else {
            return Err(busy);
        };
        // The permits travel with the work: a request that is dropped meanwhile does not free a core that is in use.
        let worker = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((core, place));
            done
        });
        worker.await.map_err(|error| HashError::Failed(error.to_string()))
    }
}

fn hash_now(argon2: &Argon2<'_>, password: &[u8], salt: &[u8; 16]) -> Result<String, HashError> {
    argon2
        .hash_password_with_salt(password, salt)
        .map(|hash| hash.to_string())
        .map_err(|error| HashError::Failed(error.to_string()))
}

fn is_weaker(used: &Params, wanted: &Params) -> bool {
    used.m_cost() < wanted.m_cost() || used.t_cost() < wanted.t_cost() || used.p_cost() < wanted.p_cost()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(memory_kib: u32, queue: u32) -> CredentialsConfig {
        CredentialsConfig {
            memory_kib,
            iterations: 1,
            queue,
            queue_deadline: 1,
            ..CredentialsConfig::default()
        }
    }

    #[tokio::test]
    async fn a_password_is_verified_exactly_as_sent() {
        let hasher = Hasher::new(&config(64, 8)).unwrap();
        let long = "x".repeat(80);
        let hash = hasher.hash(&Password::new(long.as_str())).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let verify = |text: &str| {
            let (hasher, hash, text) = (hasher.clone(), hash.clone(), Password::new(text));
            async move { hasher.verify(&text, Some(&hash)).await.unwrap() }
        };
        assert_eq!(verify(&long).await, Verdict::Right { outdated: false });
        for other in [&long[..72], &long.to_uppercase(), &format!("{long} "), &format!("{long}\0")] {
            assert_eq!(verify(other).await, Verdict::Wrong);
        }
    }

    #[tokio::test]
    async fn raised_parameters_show_and_nobody_is_never_right() {
        let weak = Hasher::new(&config(64, 8)).unwrap();
        let password = Password::new("nobody's password");
        let hash = weak.hash(&password).await.unwrap();
        let strong = Hasher::new(&config(128, 8)).unwrap();
        assert_eq!(strong.verify(&password, Some(&hash)).await.unwrap(), Verdict::Right { outdated: true });
        assert_eq!(strong.verify(&password, None).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn beyond_the_queue_the_answer_is_busy_at_once() {
        let hasher = Hasher::new(&config(64, 0)).unwrap();
        let cores = std::thread::available_parallelism().unwrap().get();
        let held: Vec<_> =
            (0..cores).map(|_| Arc::clone(&hasher.inner.places).try_acquire_owned().unwrap()).collect();
        let answer = hasher.hash(&Password::new("p")).await;
        assert!(matches!(answer, Err(HashError::Busy { retry_after: 2 })));
        drop(held);
        assert!(hasher.hash(&Password::new("p")).await.is_ok());
    }
}
