//! Cookies that a request has decided to set.
//!
//! Guards and handlers put them here; the fairing sends them with the answer, unless the answer is 503: while the truth
//! is unknown, no cookie is touched.

use std::sync::{Mutex, PoisonError};

use rocket::Request;

use super::Noted;
use crate::session::SetCookie;

/// The cookies of one request's answer.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<Vec<SetCookie>>);

impl Outbox {
    /// The outbox of this request.
    pub(crate) fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        &Noted::of(request).outbox
    }

    /// Adds cookies; one of a name replaces an earlier one of that name.
    pub(crate) fn put(&self, cookies: impl IntoIterator<Item = SetCookie>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in cookies {
            kept.retain(|other| other.name() != cookie.name());
            kept.push(cookie);
        }
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<SetCookie> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
