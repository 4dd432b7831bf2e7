//! What an application adds to signing in.
//!
//! Implement [`Hooks`] and hand it to the fairing. Every method has a default, so write only what you need:
//!
//! ```
//! use countersign::signin::{Decision, Event, HookError, Hooks, SignInAttempt, Trigger};
//! use countersign::token::Claims;
//!
//! struct Staff;
//!
//! #[rocket::async_trait]
//! impl Hooks for Staff {
//!     // Only addresses of one domain may sign in.
//!     async fn sign_in(&self, attempt: &SignInAttempt<'_>) -> Result<Decision, HookError> {
//!         let is_staff = attempt.user.email.as_str().ends_with("@example.com");
//!         Ok(if is_staff { Decision::Allow } else { Decision::Deny })
//!     }
//!
//!     // A claim of our own, read in a handler by `session.claims::<T>()`.
//!     async fn jwt(&self, claims: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
//!         if let Trigger::SignIn { .. } = trigger {
//!             claims.set("department", "research");
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! # When a hook fails
//! An error or a panic in a hook answers 500 for that request only and sets no cookie: `sign_in` and `jwt` run before a
//! session exists or is renewed, `redirect` before anything is done, and `session` only shows: what an update will show is asked
//! before it is stored. So nobody is signed in, and nobody is signed out, by a hook that failed. Nothing that proves who somebody
//! is has been used up by then, and no account was made or changed: the same link, code or passkey's answer works afterwards. The
//! answer of another site alone is good for one use, and its sign-in begins anew. A newcomer's account is therefore not there yet
//! when `sign_in` and `jwt` are asked about it. A renewal that was due when the request came stands, whatever fails later in it:
//! only its cookie is not sent, and the one the browser has is good as before. [`Hooks::event`] is told what already happened: it
//! cannot undo it and returns nothing, and a panic in it is logged and changes no answer.

use std::net::IpAddr;

use rocket::async_trait;
use serde_json::{Map, Value};

use crate::model::{AuthMethod, Email, User, UserId};
use crate::providers::Profile;
use crate::session::SessionData;
use crate::token::Claims;

/// Any error of the application's own.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// Who is about to sign in.
#[derive(Debug, Clone, Copy)]
pub struct SignInAttempt<'a> {
    /// The person, who has proved who they are.
    pub user: &'a User,
    /// How they did.
    pub method: AuthMethod,
    /// From where.
    pub address: Option<IpAddr>,
    /// By which provider: `credentials`, `email`, `passkey`, or the id of another site.
    pub provider: &'a str,
    /// What the other site says of them.
    pub profile: Option<&'a Profile>,
}

/// What [`Hooks::sign_in`] decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Sign the person in.
    Allow,
    /// Refuse: the person sees "access denied" (403).
    Deny,
    /// Refuse, and send the person to this page of the site, which explains.
    Redirect(String),
}

/// Why claims are asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trigger<'a> {
    /// Somebody signs in.
    SignIn {
        /// Who.
        user: &'a User,
        /// How.
        method: AuthMethod,
        /// By which provider: `credentials`, `email`, `passkey`, or the id of another site.
        provider: &'a str,
    },
    /// A session is renewed.
    Renewal,
    /// The browser posted to `session`, as `update()` of NextAuth's clients does. Nothing of it is taken over unless
    /// this hook takes it: it is the browser's word.
    Update {
        /// What it posted.
        data: &'a Value,
    },
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An account was made.
    SignedUp {
        /// Whose.
        user: &'a User,
    },
    /// Somebody signed in.
    SignedIn {
        /// The new session.
        session: &'a SessionData,
        /// By which provider: `credentials`, `email`, `passkey`, or the id of another site.
        provider: &'a str,
        /// From where.
        address: Option<IpAddr>,
    },
    /// Somebody signed out.
    SignedOut {
        /// The session that ended.
        session: &'a SessionData,
    },
    /// A session was renewed.
    SessionRenewed {
        /// The session, with its new expiry.
        session: &'a SessionData,
    },
    /// An account at another site was linked to somebody's account here.
    AccountLinked {
        /// Whose.
        user: &'a UserId,
        /// At which site.
        provider: &'a str,
        /// From where.
        address: Option<IpAddr>,
    },
    /// The owner of an address took over an account whose holder had never proven it: the holder's password, links and
    /// sessions have ended.
    AccountTakenOver {
        /// Whose account it is now.
        user: &'a UserId,
        /// By which site.
        provider: &'a str,
        /// From where.
        address: Option<IpAddr>,
    },
    /// A link was removed.
    AccountUnlinked {
        /// Whose.
        user: &'a UserId,
        /// To which site.
        provider: &'a str,
    },
    /// A sign-in failed.
    SignInFailed {
        /// The address that was given, when it was one.
        email: Option<&'a Email>,
        /// A stable code: `CredentialsSignin`, `AccessDenied`, `RateLimited`.
        code: &'static str,
        /// From where.
        address: Option<IpAddr>,
        /// How the person tried.
        method: AuthMethod,
        /// What is known besides, when it was by another site.
        federated: Option<FederatedFailure<'a>>,
    },
}

/// What is known of a sign-in at another site that failed. Nothing of it is the browser's or the site's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FederatedFailure<'a> {
    /// Which site.
    pub provider: &'a str,
    /// What was wrong with the answer, as a stable code: `state_replayed`, `issuer_mismatch`, `nonce_mismatch`,
    /// `code_refused`, …; none when it was right, and the decision was made here.
    pub reason: Option<&'static str>,
    /// The site's own error code, when it is a registered one.
    pub said: Option<&'static str>,
}

/// The application's part in signing in. See the [module](self).
#[async_trait]
pub trait Hooks: Send + Sync + 'static {
    /// May this person sign in? _Default: yes._
    async fn sign_in(&self, attempt: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        let _ = attempt;
        Ok(Decision::Allow)
    }

    /// Adds the application's own claims. With the database strategy they are kept in the session's row.
    /// _Default: none._
    async fn jwt(&self, claims: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
        let _ = (claims, trigger);
        Ok(())
    }

    /// Adds to the body of `GET session`, which scripts in the browser can read. _Default: nothing._
    async fn session(&self, body: &mut Map<String, Value>, session: &SessionData) -> Result<(), HookError> {
        let _ = (body, session);
        Ok(())
    }

    /// Whether [`Hooks::session`] may add anything. Hooks that have no use for it say no: what a session shows is then
    /// written once, and not for every request. _Default: yes._
    fn adds_to_session(&self) -> bool {
        true
    }

    /// Changes where a person is sent, given the URL that was validated. The answer is validated again.
    /// _Default: as it is._
    fn redirect(&self, url: &str) -> Option<String> {
        let _ = url;
        None
    }

    /// Is told what happened, after it did. _Default: does nothing._
    async fn event(&self, event: &Event<'_>) {
        let _ = event;
    }
}

/// No hooks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

#[async_trait]
impl Hooks for NoHooks {
    fn adds_to_session(&self) -> bool {
        false
    }
}
