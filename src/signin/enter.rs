//! The one door from an identity to a session.
//!
//! Whatever kind of provider vouched for a person, the rest is the same: the host's `sign_in` hook is asked, the host's
//! claims are collected, a fresh session is issued, and the one it replaces ends.

use super::account::own;
use super::errors::SignInError;
use super::hooks::{Decision, Event, SignInAttempt, Trigger};
use super::service::{Client, SignIn};
use crate::audit::AuditEvent;
use crate::model::{AuthMethod, Permission, User};
use crate::providers::Identity;
use crate::session::{Device, Grant, Issued, SessionData};
use crate::token::Claims;

/// Where somebody enters from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The browser or program.
    pub(crate) client: &'a Client,
    /// The session this browser had, which ends when the new one begins.
    pub(crate) replaces: Option<&'a SessionData>,
}

/// What somebody who proved who they are gets.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Entered {
    /// A session.
    Session(Box<Issued>),
    /// A pending sign-in, sealed: a second proof is asked for first.
    SecondFactor(String),
}

/// What an account has when somebody enters it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was theirs before, with whatever second factors there are.
    Theirs,
    /// This sign-in makes it, or takes it over from somebody whose factors go: there are none.
    Fresh,
}

/// What follows the first proof.
enum Next {
    Session(Claims),
    SecondFactor(String),
}

impl SignIn {
    /// An identity becomes a session, if the host agrees. Every provider's sign-in ends here; the host is told of its
    /// success here, too.
    ///
    /// # Errors
    /// [`SignInError`]; no session was begun then.
    pub(crate) async fn enter(&self, identity: &Identity, entry: Entry<'_>) -> Result<Entered, SignInError> {
        let nothing = std::future::ready(Ok::<(), SignInError>(()));
        self.enter_and(identity, Standing::Theirs, entry, nothing).await
    }

    /// As [`SignIn::enter`], and settles something: uses a proof up, makes a newcomer's account, keeps a link. Whatever of the
    /// host's can fail has been asked by then, so that a hook that fails leaves everything as it was.
    ///
    /// # Errors
    /// [`SignInError`], and whatever settling fails with; no session was begun then.
    pub(super) async fn enter_and<E: From<SignInError>>(
        &self,
        identity: &Identity,
        standing: Standing,
        entry: Entry<'_>,
        settle: impl Future<Output = Result<(), E>> + Send,
    ) -> Result<Entered, E> {
        let Identity { user, method, provider, profile } = identity;
        let attempt = SignInAttempt {
            user,
            method: *method,
            address: entry.client.address,
            provider,
            profile: profile.as_deref(),
        };
        self.ask_host(&attempt).await?;
        let next = self.next_step(identity, standing).await?;
        settle.await?;
        match next {
            Next::SecondFactor(pending) => Ok(Entered::SecondFactor(pending)),
            Next::Session(claims) => {
                Ok(Entered::Session(Box::new(self.begin(user, (*method, provider), claims, entry).await?)))
            }
        }
    }

    async fn next_step(&self, identity: &Identity, standing: Standing) -> Result<Next, SignInError> {
        if standing == Standing::Theirs
            && let Some(pending) = self.second_step(identity).await?
        {
            return Ok(Next::SecondFactor(pending));
        }
        let Identity { user, method, provider, .. } = identity;
        Ok(Next::Session(self.first_claims(user, (*method, provider)).await?))
    }

    /// What a session begins with: the roles, and what the host adds.
    pub(super) async fn first_claims(
        &self,
        user: &User,
        (method, provider): (AuthMethod, &str),
    ) -> Result<Claims, SignInError> {
        let mut claims = Claims::default();
        let roles = self.store.roles_of(&user.id).await?;
        if !roles.is_empty() {
            claims.set("roles", roles.iter().map(Permission::as_str).collect::<Vec<_>>());
        }
        let trigger = Trigger::SignIn { user, method, provider };
        self.hooks.jwt(&mut claims, &trigger).await.map_err(SignInError::Hook)?;
        Ok(claims)
    }

    /// Begins the session of somebody who has shown everything that is asked for.
    pub(super) async fn begin(
        &self,
        user: &User,
        (method, provider): (AuthMethod, &str),
        claims: Claims,
        entry: Entry<'_>,
    ) -> Result<Issued, SignInError> {
        let device = Device {
            user_agent: entry.client.user_agent.clone(),
            address: entry.client.address.map(|address| address.to_string()),
        };
        let grant = Grant { user, method, claims, device, replaces: entry.replaces };
        let issued = self.sessions.issue(grant).await?;
        self.make_room(&issued.session).await;
        let address = entry.client.address;
        self.tell(&Event::SignedIn { session: &issued.session, provider, address }).await;
        Ok(issued)
    }

    /// A person has only so many sessions. That an old one could not be ended now is no reason to send anybody away: it ends
    /// at the next sign-in.
    async fn make_room(&self, begun: &SessionData) {
        match self.sessions.end_oldest(begun).await {
            Ok(0) => {}
            Ok(ended) => {
                let record = own(AuditEvent::OtherSessionsEnded, begun).detail("ended", ended);
                self.audit.record(record.detail("reason", "max_per_user")).await;
            }
            Err(error) => tracing::warn!(%error, "a person's oldest sessions could not be ended"),
        }
    }

    /// Asks the host.
    pub(super) async fn ask_host(&self, attempt: &SignInAttempt<'_>) -> Result<(), SignInError> {
        match self.hooks.sign_in(attempt).await.map_err(SignInError::Hook)? {
            Decision::Allow => Ok(()),
            Decision::Deny => Err(SignInError::Denied(None)),
            Decision::Redirect(page) => Err(SignInError::Denied(Some(page))),
        }
    }
}
