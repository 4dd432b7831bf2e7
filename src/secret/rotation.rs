//! Secrets that are replaced while the program runs.
//!
//! [`Secrets`] is the ring in use; everything that derives keys from it keeps them in a [`Derived`], which derives anew
//! when the ring was replaced. So one call of [`Secrets::replace`] changes every key of the program, and a request that has
//! begun goes on with the keys it holds.
//!
//! ```
//! use countersign::secret::{Secret, SecretRing, Secrets};
//!
//! let old = "an old secret of at least 32 characters";
//! let secrets = Secrets::new(SecretRing::new(Secret::new(old), vec![]));
//! let length = secrets.derive(|ring| ring.current().expose().len());
//! assert_eq!(*length.get(), 39);
//!
//! let ring = SecretRing::new(Secret::new("a newer secret of at least 32 characters"), vec![Secret::new(old)]);
//! secrets.replace(ring);
//! assert_eq!(*length.get(), 40);
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::SecretRing;

/// The secrets in use. Clones share them.
#[derive(Clone)]
pub struct Secrets(Arc<Shared>);

struct Shared {
    present: RwLock<Present>,
    /// The same number as in `present`, to be read without a lock.
    generation: AtomicU64,
}

#[derive(Clone)]
struct Present {
    ring: Arc<SecretRing>,
    generation: u64,
}

impl Secrets {
    /// Begins with this ring.
    #[must_use]
    pub fn new(ring: SecretRing) -> Self {
        let present = Present { ring: Arc::new(ring), generation: 0 };
        Self(Arc::new(Shared { present: RwLock::new(present), generation: AtomicU64::new(0) }))
    }

    /// The ring in use now.
    #[must_use]
    pub fn ring(&self) -> Arc<SecretRing> {
        self.present().ring
    }

    /// A number that grows with every replacement: whoever keeps what a secret vouched for compares it.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// From now on everything is signed by the first of these secrets and verified by all of them: tokens, the private
    /// cookie, CSRF pairs. Whoever is signed in by a secret that is not among them is signed out; that is logged. Whether
    /// anything changed.
    ///
    /// ```no_run
    /// # fn reload(rocket: &rocket::Rocket<rocket::Orbit>) {
    /// use countersign::{config::Config, guards::Auth};
    ///
    /// let read_anew = Config::from_figment(&rocket::Config::figment());
    /// if let (Some(auth), Ok(config)) = (rocket.state::<Auth>(), read_anew) {
    ///     auth.secrets.replace(config.secrets);
    /// }
    /// # }
    /// ```
    pub fn replace(&self, ring: SecretRing) -> bool {
        let mut present = self.0.present.write().unwrap_or_else(PoisonError::into_inner);
        if ring.is_same(&present.ring) {
            return false;
        }
        let (known, removed) = (ring.all().count(), ring.removed_since(&present.ring));
        present.ring = Arc::new(ring);
        present.generation += 1;
        self.0.generation.store(present.generation, Ordering::Release);
        tracing::info!(known, "the secrets were replaced");
        if removed > 0 {
            tracing::warn!(removed, "secrets were removed: what only they vouch for is refused from now on");
        }
        true
    }

    /// What `derive` makes of the ring: now, and anew after every replacement.
    #[must_use]
    pub fn derive<T>(&self, derive: impl Fn(&SecretRing) -> T + Send + Sync + 'static) -> Derived<T> {
        let Present { ring, generation } = self.present();
        let kept = RwLock::new((generation, Arc::new(derive(&ring))));
        Derived { secrets: self.clone(), derive: Box::new(derive), kept }
    }

    fn present(&self) -> Present {
        self.0.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

/// Keys, or whatever else is made of the secrets, kept until they are replaced.
pub struct Derived<T> {
    secrets: Secrets,
    derive: Box<dyn Fn(&SecretRing) -> T + Send + Sync>,
    kept: RwLock<(u64, Arc<T>)>,
}

impl<T> Derived<T> {
    /// What belongs to the secrets in use. Take it once per act: the next call may answer with another.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            if kept.0 == self.secrets.generation() {
                return Arc::clone(&kept.1);
            }
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let Present { ring, generation } = self.secrets.present();
        if kept.0 != generation {
            *kept = (generation, Arc::new((self.derive)(&ring)));
        }
        Arc::clone(&kept.1)
    }
}

impl<T> fmt::Debug for Derived<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::secret::Secret;

    fn ring(current: &str) -> SecretRing {
        SecretRing::new(Secret::new(current), vec![])
    }

    #[test]
    fn what_was_derived_is_kept_until_the_secrets_are_replaced() {
        let secrets = Secrets::new(ring("old"));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let derived = secrets.derive(move |ring| {
            counted.fetch_add(1, Ordering::SeqCst);
            ring.current().expose().to_owned()
        });
        let held = derived.get();
        assert_eq!((derived.get().as_str(), count.load(Ordering::SeqCst)), ("old", 1));
        assert!(secrets.clone().replace(ring("new")));
        assert!(!secrets.replace(ring("new")), "the same again is no change");
        assert_eq!((derived.get().as_str(), derived.get().as_str()), ("new", "new"));
        assert_eq!((held.as_str(), count.load(Ordering::SeqCst)), ("old", 2));
        assert_eq!((secrets.generation(), secrets.ring().current().expose()), (1, "new"));
    }

    #[test]
    fn everybody_sees_the_replacement_whoever_derives() {
        let secrets = Secrets::new(ring("0"));
        let derived = secrets.derive(|ring| ring.current().expose().to_owned());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 200 {
                        let seen: u32 = derived.get().parse().unwrap();
                        assert!(seen >= last, "{seen} after {last}");
                        last = seen;
                    }
                });
            }
            for number in 1..=200 {
                secrets.replace(ring(&number.to_string()));
                assert_eq!(derived.get().as_str(), number.to_string());
            }
        });
    }

    #[test]
    fn nothing_of_it_prints() {
        let secrets = Secrets::new(ring("sesame-sesame"));
        let derived = secrets.derive(|ring| ring.current().expose().to_owned());
        assert_eq!(format!("{secrets:?} {derived:?}"), "Secrets([redacted]) Derived([redacted])");
    }
}
