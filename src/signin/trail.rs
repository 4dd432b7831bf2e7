//! What the audit log is told of signing in.

use super::hooks::{Event, FederatedFailure};
use super::service::SignIn;
use crate::audit::{AuditEvent, AuditLog, Detail, Entry};
use crate::metrics;

impl SignIn {
    /// Where everything that happens is recorded.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Records an event and tells the host.
    pub(super) async fn tell(&self, event: &Event<'_>) {
        count(event);
        if let Some(entry) = entry_of(event) {
            self.audit.record(entry).await;
        }
        self.hooks.event(event).await;
    }
}

/// The record of an event; a renewal is none, because it says nothing that the sign-in did not.
fn entry_of(event: &Event<'_>) -> Option<Entry> {
    Some(match event {
        Event::SignedUp { user } => {
            Entry::new(AuditEvent::SignUpSucceeded).user(&user.id).email(Some(&user.email))
        }
        Event::SignedIn { session, provider, address } => Entry::new(AuditEvent::SignInSucceeded)
            .user(&session.user_id)
            .session(&session.id)
            .address(*address)
            .detail("method", session.method.as_str())
            .detail("provider", Detail::words(provider)),
        Event::SignedOut { session } => {
            Entry::new(AuditEvent::SignedOut).user(&session.user_id).session(&session.id)
        }
        Event::SignInFailed { email, code: "RateLimited", address, method, .. } => {
            Entry::new(AuditEvent::LimitHit)
                .email(*email)
                .address(*address)
                .detail("limit", "sign_in")
                .detail("method", method.as_str())
        }
        Event::SignInFailed { email, code, address, method, federated } => {
            let entry = Entry::new(AuditEvent::SignInFailed)
                .email(*email)
                .address(*address)
                .detail("code", *code)
                .detail("method", method.as_str());
            federated.iter().fold(entry, with_federated)
        }
        Event::AccountLinked { user, provider, address } => Entry::new(AuditEvent::AccountLinked)
            .user(user)
            .address(*address)
            .detail("provider", Detail::words(provider)),
        Event::AccountTakenOver { user, provider, address } => Entry::new(AuditEvent::AccountTakenOver)
            .user(user)
            .address(*address)
            .detail("provider", Detail::words(provider)),
        Event::AccountUnlinked { user, provider } => {
            Entry::new(AuditEvent::AccountUnlinked).user(user).detail("provider", Detail::words(provider))
        }
        Event::SessionRenewed { .. } => return None,
    })
}

fn with_federated(entry: Entry, failure: &FederatedFailure<'_>) -> Entry {
    let entry = entry.detail("provider", Detail::words(failure.provider));
    let told = [("reason", failure.reason), ("said", failure.said)];
    told.into_iter().fold(entry, |entry, (name, code)| match code {
        Some(code) => entry.detail(name, code),
        None => entry,
    })
}

fn count(event: &Event<'_>) {
    match event {
        Event::SignedIn { session, .. } => metrics::sign_in(session.method.as_str(), "success"),
        Event::SignInFailed { method, .. } => metrics::sign_in(method.as_str(), "refused"),
        _ => {}
    }
}
