//! Refusals that guards cause, for the audit log.
//!
//! One request is refused once, whoever notices first: the check of a form, a catcher, or the fairing that sees the
//! answer of an application's own.

use rocket::Request;
use rocket::http::Status;

use super::lookup::{failure_of, found};
use super::{Auth, Noted, context_of};
use crate::audit::{AuditEvent, Detail, Entry};
use crate::session::SessionError;

/// A form or body came without this browser's token, or from another site.
pub(crate) fn csrf_refused(request: &Request<'_>) {
    refuse(request, Entry::new(AuditEvent::CsrfRefused));
}

/// A guard refused, and the sender is told to sign in.
pub(crate) fn session_refused(request: &Request<'_>, reason: SessionError) {
    refuse(request, Entry::new(AuditEvent::AccessRefused).detail("code", reason.code()));
}

/// An answer is about to be sent: 401 and 403 are refusals, whoever decided so, once it was asked who is there.
pub(crate) fn answered(request: &Request<'_>, status: Status) {
    match (status, failure_of(request)) {
        (Status::Unauthorized, Some(reason)) => session_refused(request, reason),
        (Status::Forbidden, _) if Noted::of(request).has_asked() => {
            refuse(request, Entry::new(AuditEvent::AccessRefused).detail("code", "forbidden"));
        }
        _ => {}
    }
}

fn refuse(request: &Request<'_>, entry: Entry) {
    let Some(sign_in) = request.rocket().state::<Auth>().and_then(|auth| auth.sign_in.as_ref()) else {
        return;
    };
    let context = context_of(request);
    if context.note_refused() {
        return;
    }
    let entry = match found(request) {
        Some(Ok(session)) => entry.user(&session.user_id).session(&session.id),
        _ => entry,
    };
    // The route's pattern and never the path that was asked for: a path may hold a secret.
    let entry = match request.route() {
        Some(route) => entry.detail("route", Detail::words(route.uri.as_str())),
        None => entry,
    };
    sign_in.audit().refuse(entry.address(context.address).request(&context.id));
}
