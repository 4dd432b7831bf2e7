//! Password hashing in a bounded pool.
//!
//! Argon2id takes 19 MiB and tens of milliseconds by design. Unbounded, a burst of sign-ins would take gigabytes and
//! every core; so at most one hash per core runs at a time, a bounded number waits, and nobody waits longer than a
//! deadline. Beyond that the answer is "try again in a moment", at once, and everything else stays responsive. The memory
//! is lent from hash to hash and given back when the last one ends: see `working_memory.rs`.
//! The threads that hash stand behind all others for a core: see `polite_threads.rs`.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::door::{Door, Turn};
use super::polite_threads::PoliteThreads;
use super::working_memory::{WorkingMemories, WorkingMemory};
use crate::config::CredentialsConfig;
use crate::metrics::{self, Hashing};
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
    all_cores: usize,
    threads: PoliteThreads,
    door: Door,
    places: Arc<Semaphore>,
    all_places: usize,
    memories: WorkingMemories,
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
    /// A pool as configured.
    ///
    /// # Errors
    /// [`HashError::Failed`] when the parameters are none that Argon2 knows.
    pub fn new(config: &CredentialsConfig) -> Result<Self, HashError> {
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, None)
            .map_err(|error| HashError::Failed(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let all_places = cores + config.queue as usize;
        let decoy = decoy(&params)?;
        Ok(Self {
            inner: Arc::new(Inner {
                argon2,
                cores: Arc::new(Semaphore::new(cores)),
                all_cores: cores,
                threads: PoliteThreads::new(cores),
                door: Door::new(all_places),
                places: Arc::new(Semaphore::new(all_places)),
                all_places,
                memories: WorkingMemories::new(params.block_count()),
                params,
                deadline: Duration::from_secs(config.queue_deadline.into()),
                decoy,
            }),
        })
    }

    /// Leave for somebody of this network to have a password hashed or compared, asked for before anything else is done
    /// for them. It is no promise: the queue may be full all the same.
    ///
    /// # Errors
    /// [`HashError::Busy`] when too many have one, altogether or of this network.
    pub fn turn(&self, network: &str) -> Result<Turn, HashError> {
        self.inner.door.enter(network).ok_or_else(|| self.busy())
    }

    fn busy(&self) -> HashError {
        metrics::hashing_refused();
        HashError::Busy { retry_after: 1 + u32::try_from(self.inner.deadline.as_secs()).unwrap_or(0) }
    }

    /// The hash of a new password, in PHC string format.
    ///
    /// # Errors
    /// [`HashError`]; nothing was hashed then.
    pub async fn hash(&self, password: &Password) -> Result<String, HashError> {
        let salt = random_bytes()?;
        let (inner, password) = (Arc::clone(&self.inner), password.clone());
        self.run(move |memory| hash_now(&inner.argon2, memory, password.expose().as_bytes(), &salt)).await?
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
        self.run(move |memory| {
            let (same, used) = verify_now(memory, password.expose().as_bytes(), &stored)?;
            let outdated = is_weaker(&used, &inner.params);
            Ok(if same && known { Verdict::Right { outdated } } else { Verdict::Wrong })
        })
        .await?
    }

    /// Runs `work` on a thread for it once a core is free, or says that it is busy.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WorkingMemory) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let Ok(place) = Arc::clone(&self.inner.places).try_acquire_owned() else {
            return Err(self.busy());
        };
        let waiting = Hashing::waiting();
        let Ok(Ok(core)) = timeout(self.inner.deadline, Arc::clone(&self.inner.cores).acquire_owned()).await
        else {
            return Err(self.busy());
        };
        drop(waiting);
        let running = Hashing::running();
        // The permits travel with the work: a request that is dropped meanwhile does not free a core that is in use.
        let inner = Arc::clone(&self.inner);
        let (tell, told) = oneshot::channel();
        let begun = self.inner.threads.run(move || {
            let mut memory = inner.memories.take();
            let done = work(&mut memory);
            match inner.all_places.saturating_sub(inner.places.available_permits()) {
                // The last one, as far as can be seen.
                0 | 1 => drop(memory),
                at_work => inner.memories.keep(memory, at_work > inner.all_cores),
            }
            drop((core, place, running));
            // The last two may each have seen the other.
            if inner.places.available_permits() == inner.all_places {
                inner.memories.release();
            }
            // Whoever asked may have gone.
            tell.send(done).ok();
        });
        begun.map_err(failed)?;
        told.await.map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> HashError {
    HashError::Failed(error.to_string())
}

fn corrupt(error: impl std::fmt::Display) -> HashError {
    HashError::Corrupt(error.to_string())
}

/// As `Argon2::hash_password_with_salt`, in memory of ours.
fn hash_now(
    argon2: &Argon2<'_>,
    memory: &mut WorkingMemory,
    password: &[u8],
    salt: &[u8; 16],
) -> Result<String, HashError> {
    let params = argon2.params();
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let blocks = memory.blocks(params.block_count());
    argon2.hash_password_into_with_memory(password, salt, &mut output, blocks).map_err(failed)?;
    phc(params, salt, &output)
}

/// Whether it is the password of a stored hash, by the parameters that stand in it; and those.
fn verify_now(
    memory: &mut WorkingMemory,
    password: &[u8],
    stored: &str,
) -> Result<(bool, Params), HashError> {
    let hash = PasswordHash::new(stored).map_err(corrupt)?;
    let params = Params::try_from(&hash).map_err(corrupt)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(corrupt)?;
    let version = hash.version.map(Version::try_from).transpose().map_err(corrupt)?.unwrap_or_default();
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(corrupt("a stored hash without salt or output"));
    };
    let mut output = vec![0; expected.len()];
    let blocks = memory.blocks(params.block_count());
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(password, salt, &mut output, blocks)
        .map_err(failed)?;
    Ok((output.ct_eq(expected.as_bytes()).into(), params))
}

/// A hash of these parameters, against which passwords of unknown users are compared. It was drawn and not computed: no
/// password is known to have it, and launching need not wait for one.
fn decoy(params: &Params) -> Result<String, HashError> {
    phc(params, &random_bytes()?, &random_bytes::<{ Params::DEFAULT_OUTPUT_LEN }>()?)
}

/// PHC string format.
fn phc(params: &Params, salt: &[u8; 16], output: &[u8]) -> Result<String, HashError> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(failed)?,
        salt: Some(Salt::new(salt).map_err(failed)?),
        hash: Some(Output::new(output).map_err(failed)?),
    };
    Ok(hash.to_string())
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

    /// The crate's own way of hashing and verifying agrees with ours, whatever the memory held before.
    #[tokio::test]
    async fn hashes_are_those_of_the_crate() {
        use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
        let hasher = Hasher::new(&config(64, 8)).unwrap();
        let password = Password::new("correct horse");
        for _ in 0..3 {
            let hash = hasher.hash(&password).await.unwrap();
            assert!(Argon2::default().verify_password(b"correct horse", hash.as_str()).is_ok());
            assert!(Argon2::default().verify_password(b"correct house", hash.as_str()).is_err());
        }
        for (memory, passes, lanes) in [(32, 1, 1), (256, 3, 4)] {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = other.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string();
            let weaker = memory < 64;
            let verdict = hasher.verify(&password, Some(&hash)).await.unwrap();
            assert_eq!(verdict, Verdict::Right { outdated: weaker });
        }
        for broken in ["", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ", "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaA"] {
            assert!(
                matches!(hasher.verify(&password, Some(broken)).await, Err(HashError::Corrupt(_))),
                "{broken}"
            );
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
        let decoy = decoy(&strong.inner.params).unwrap();
        let computed = strong.hash(&password).await.unwrap();
        let drawn = PasswordHash::new(&decoy).unwrap();
        let computed = PasswordHash::new(&computed).unwrap();
        assert_eq!(Params::try_from(&drawn).unwrap(), Params::try_from(&computed).unwrap(), "the same work");
        assert_eq!(decoy.len(), computed.to_string().len());
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
