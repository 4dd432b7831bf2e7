//! What is noted about a request while it is answered.
//!
//! It is one entry of the request's local cache, so that a request pays for one, whatever is asked about it.

use std::sync::{Arc, OnceLock};

use rocket::Request;
use tokio::sync::OnceCell;

use super::Outbox;
use crate::audit::RequestContext;
use crate::session::{SessionData, SessionError};

/// Who sent the request, once a guard has asked, the cookies its answer sets, and what the request is called.
#[derive(Default)]
pub(crate) struct Noted {
    pub(super) sender: OnceCell<Result<Arc<SessionData>, SessionError>>,
    /// What a guard for scripts found: its own, since whoever brings no access token may still have a session, for which
    /// the next route may ask.
    pub(super) script: OnceLock<Result<(), SessionError>>,
    pub(crate) outbox: Outbox,
    pub(super) context: OnceLock<Arc<RequestContext>>,
}

impl Noted {
    /// What is noted about this request.
    pub(crate) fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }

    /// Whether a guard asked who sent the request: the answer may then differ from person to person.
    pub(crate) fn has_asked(&self) -> bool {
        self.sender.initialized() || self.script.get().is_some()
    }
}
