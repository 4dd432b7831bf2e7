//! From an identity to a session: limits, hooks, sign-up; no HTTP.
//!
//! The order of a sign-in by password: the attempt is counted, the password compared, the host's `sign_in` hook asked,
//! the host's claims collected, and only then is a session issued. A failure at any step leaves no session and says
//! why by type ([`SignInError`]); one file of the routes turns that into HTTP.

mod access_tokens;
mod account;
mod address;
mod caught;
mod confirmed;
mod email_link;
mod enter;
mod errors;
mod factor_settings;
mod factors;
mod farewell;
mod federated;
pub mod hooks;
pub mod limits;
mod linked;
pub mod linking;
mod mailing;
mod notices;
mod passkey_proof;
mod provider_tokens;
mod recovery;
mod redirect;
mod resealing;
mod roles;
mod service;
mod sign_up;
mod trail;

pub use access_tokens::{MARK, MOST_DAYS, NewToken, NewTokenError, NewTokenMistake};
pub use account::{Account, AccountError, PasswordChange};
pub use address::AddressLink;
pub use email_link::{EmailSignIn, EnteredByEmail, LinkRequest, MailedProof};
pub use enter::Entered;
pub(crate) use enter::Entry;
pub use errors::{FieldError, SignInError, SignUpError};
pub use factor_settings::TotpSetup;
pub use factors::{FactorError, PENDING_AGE, SecondFactors, SecondProof};
pub(crate) use federated::{Arrival, Arrived};
pub use hooks::{Decision, Event, FederatedFailure, HookError, Hooks, NoHooks, SignInAttempt, Trigger};
pub use limits::{LimitHit, Limits};
pub use mailing::MAILED_LIFE;
pub(crate) use mailing::Mailing;
pub use passkey_proof::CHALLENGE_AGE;
pub use recovery::{PasswordReset, ResetRequest};
pub use redirect::Redirects;
pub use resealing::{ResealError, ResealReport, Resealed, Resealing};
pub use roles::{ADMIN, AdminAct, AdminError, Person};
pub use service::{Client, PasswordSignIn, SignIn};
pub use sign_up::SignUp;
