//! Whether this process can do its work now: what a load balancer asks, other than whether the process lives.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};

use crate::server::Background;
use crate::store::Error;

/// An answer of the store is good for this long: whoever asks `/readyz` without pause must not keep the store busy.
const GOOD_FOR: Duration = Duration::from_millis(500);

/// What the store said last, and when it was asked.
#[derive(Debug, Default)]
pub(crate) struct LastAnswer(Mutex<Option<(Instant, Readiness)>>);

impl LastAnswer {
    fn get(&self) -> Option<Readiness> {
        let (asked, found) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        (asked.elapsed() < GOOD_FOR).then_some(found)
    }

    fn put(&self, asked: Instant, found: Readiness) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, found));
    }
}

/// Whether this process can do its work now. As a guard it never fails: the answer is its value.
///
/// ```
/// use countersign::Readiness;
/// use rocket::http::Status;
///
/// #[rocket::get("/readyz")]
/// fn readyz(readiness: Readiness) -> (Status, &'static str) {
///     (readiness.status(), readiness.as_str())
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Everything that a request may need is there.
    Ready,
    /// The process was told to stop.
    Stopping,
    /// The store does not answer.
    StoreUnavailable,
    /// The database's schema is not the one this program needs.
    SchemaMismatch,
}

impl Readiness {
    /// 200, or 503 for every other answer.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Ready => Status::Ok,
            _ => Status::ServiceUnavailable,
        }
    }

    /// A stable word: `ready`, `stopping`, `store_unavailable`, `schema_mismatch`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::StoreUnavailable => "store_unavailable",
            Self::SchemaMismatch => "schema_mismatch",
        }
    }

    async fn ask(background: &Background, last: &LastAnswer) -> Self {
        if background.is_stopping() {
            return Self::Stopping;
        }
        if let Some(known) = last.get() {
            return known;
        }
        let asked = Instant::now();
        let store = background.store();
        let answer = match store.ping().await {
            Ok(()) => store.check_schema().await,
            Err(error) => Err(error),
        };
        let found = match answer {
            Ok(()) => Self::Ready,
            Err(Error::Schema(_)) => Self::SchemaMismatch,
            Err(_) => Self::StoreUnavailable,
        };
        last.put(asked, found);
        found
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Readiness {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        // A program that only verifies tokens needs nothing else.
        let rocket = request.rocket();
        Outcome::Success(match (rocket.state::<Background>(), rocket.state::<LastAnswer>()) {
            (Some(background), Some(last)) => Self::ask(background, last).await,
            _ => Self::Ready,
        })
    }
}
