//! The host's hooks, with their panics as errors.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use rocket::async_trait;
use rocket::futures::FutureExt as _;
use serde_json::{Map, Value};

use super::hooks::{Decision, Event, HookError, Hooks, SignInAttempt, Trigger};
use crate::session::SessionData;
use crate::token::Claims;

/// A panic of a hook is an error of that hook: it takes the same way to the answer, and whatever was begun is dropped in
/// the same way. One in `event` is logged: what happened has happened.
pub(super) struct Caught(pub(super) Arc<dyn Hooks>);

#[async_trait]
impl Hooks for Caught {
    async fn sign_in(&self, attempt: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        caught("sign_in", self.0.sign_in(attempt)).await?
    }

    async fn jwt(&self, claims: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
        caught("jwt", self.0.jwt(claims, trigger)).await?
    }

    async fn session(&self, body: &mut Map<String, Value>, session: &SessionData) -> Result<(), HookError> {
        caught("session", self.0.session(body, session)).await?
    }

    fn adds_to_session(&self) -> bool {
        self.0.adds_to_session()
    }

    /// It has no error to return: Rocket answers its panic. Whoever calls it has done nothing yet.
    fn redirect(&self, url: &str) -> Option<String> {
        self.0.redirect(url)
    }

    async fn event(&self, event: &Event<'_>) {
        if let Err(error) = caught("event", self.0.event(event)).await {
            tracing::error!(%error, "a hook failed; what it was told of has happened all the same");
        }
    }
}

/// The panic's own words are printed by whoever set the process's panic hook; they may hold anything.
async fn caught<T>(name: &'static str, hook: impl Future<Output = T>) -> Result<T, HookError> {
    AssertUnwindSafe(hook).catch_unwind().await.map_err(|_| format!("the hook `{name}` panicked").into())
}
