//! The request that is being answered.
//!
//! Whoever records something deep below a route knows nothing of requests. Routes of the library run within a
//! [`RequestContext`], which [`AuditLog`](super::AuditLog) finds by itself.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
#[cfg(feature = "server")]
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::RequestId;

tokio::task_local! {
    static CURRENT: Arc<RequestContext>;
}

/// A request's name and where it comes from.
#[derive(Debug)]
pub struct RequestContext {
    /// Its name.
    pub id: RequestId,
    /// The client's address, when it is known.
    pub address: Option<IpAddr>,
    #[cfg(feature = "server")]
    refused: AtomicBool,
}

impl RequestContext {
    /// Of a request.
    #[must_use]
    pub fn new(id: RequestId, address: Option<IpAddr>) -> Self {
        Self {
            id,
            address,
            #[cfg(feature = "server")]
            refused: AtomicBool::new(false),
        }
    }

    /// Runs `work` within this request.
    pub async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// The request this task is answering, if it is one of the library's routes.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Notes that the refusal of this request is recorded. Whether it was already: one request is refused once.
    #[cfg(feature = "server")]
    pub(crate) fn note_refused(&self) -> bool {
        self.refused.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_knows_its_own_request_and_no_other() {
        assert!(RequestContext::current().is_none());
        let name = |id: &str| Arc::new(RequestContext::new(RequestId::parse(id).unwrap(), None));
        let seen = || async {
            tokio::task::yield_now().await;
            RequestContext::current().unwrap().id.to_string()
        };
        let (one, two) = tokio::join!(name("one").scope(seen()), name("two").scope(seen()));
        assert_eq!((one.as_str(), two.as_str()), ("one", "two"));
        assert!(RequestContext::current().is_none());
    }
}
