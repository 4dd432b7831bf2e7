//! Who says who you are: one file per kind of provider.
//!
//! A provider turns what a person presented into an [`Identity`]; whether that identity may sign in, and what session
//! it gets, is [`crate::signin`]'s to decide.
//!
//! # Other sites
//! | what | file |
//! | --- | --- |
//! | all of them, and the two halves of a sign-in there | `federation.rs` |
//! | OpenID Connect | `oidc.rs`, with `discovery.rs` (document and keys) and `id_token.rs` |
//! | OAuth 2.0 | `oauth.rs` |
//! | codes into tokens | `token_endpoint.rs` |
//! | what the browser keeps meanwhile | `transaction.rs` |
//! | what a site's answer means | `profile.rs`, by the rules of [`crate::presets`] |
//! | the one client that asks | `http.rs` |
//! | why nobody was vouched for, with a stable code each | `errors.rs` |

mod credentials;
mod discovery;
mod door;
mod errors;
mod federation;
pub mod hasher;
mod http;
pub mod id_token;
mod oauth;
mod oidc;
pub mod passkeys;
pub mod passwords;
mod polite_threads;
mod profile;
pub mod recovery;
mod token_endpoint;
pub mod totp;
mod transaction;
mod working_memory;

use serde::Serialize;

use crate::config::SiteUrl;
use crate::model::{AuthMethod, User};

pub use credentials::{Credentials, CredentialsError};
pub use discovery::REFRESH_EVERY;
pub use door::Turn;
pub use errors::{ProviderError, StateError};
pub(crate) use federation::Returned;
pub use federation::{Federation, Provider};
pub use hasher::Hasher;
pub use profile::Profile;
pub use token_endpoint::ProviderTokens;
pub(crate) use transaction::Leaving;
pub use transaction::{MAX_AGE as TRANSACTION_AGE, Transaction, cookie_id};

/// Somebody who proved who they are.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The person.
    pub user: User,
    /// How they proved it.
    pub method: AuthMethod,
    /// By which provider.
    pub provider: String,
    /// What the other site says of them.
    pub profile: Option<Box<Profile>>,
}

/// A provider as `GET providers` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct PublicProvider {
    /// Its id, the path segment of its routes.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `credentials`, `email`, `oauth` or `oidc`, as NextAuth names the kinds.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where a sign-in starts.
    #[serde(rename = "signinUrl")]
    pub signin_url: String,
    /// Where it ends.
    #[serde(rename = "callbackUrl")]
    pub callback_url: String,
}

impl PublicProvider {
    /// The provider of links by e-mail.
    #[must_use]
    pub fn email(name: &str, url: &SiteUrl) -> Self {
        Self {
            id: "email".to_owned(),
            name: name.to_owned(),
            kind: "email",
            signin_url: url.base("signin/email"),
            callback_url: url.base("callback/email"),
        }
    }

    /// The provider of e-mail address and password.
    #[must_use]
    pub fn credentials(name: &str, url: &SiteUrl) -> Self {
        Self {
            id: "credentials".to_owned(),
            name: name.to_owned(),
            kind: "credentials",
            signin_url: url.base("signin/credentials"),
            callback_url: url.base("callback/credentials"),
        }
    }
}
