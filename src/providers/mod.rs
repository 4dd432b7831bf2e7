//! Who says who you are: one file per kind of provider.
//!
//! A provider turns what a person presented into an [`Identity`]; whether that identity may sign in, and what session
//! it gets, is [`crate::signin`]'s to decide.

mod credentials;
mod door;
pub mod hasher;
pub mod passkeys;
pub mod passwords;
pub mod recovery;
pub mod totp;
mod working_memory;

use serde::Serialize;

use crate::config::SiteUrl;
use crate::model::{AuthMethod, User};

pub use credentials::{Credentials, CredentialsError};
pub use door::Turn;
pub use hasher::Hasher;

/// Somebody who proved who they are.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The person.
    pub user: User,
    /// How they proved it.
    pub method: AuthMethod,
}

/// A provider as `GET providers` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct PublicProvider {
    /// Its id, the path segment of its routes.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `credentials`, as NextAuth names the kinds.
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
