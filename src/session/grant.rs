//! What a session is issued for, and what comes of it.

use super::data::SessionData;
use crate::clock::Timestamp;
use crate::model::{AuthMethod, User};
use crate::secret::EntropyError;
use crate::store;
use crate::token::{Claims, MintError};

/// Why a session could not be issued, renewed or ended.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The token could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The user is gone, or was disabled or signed out everywhere since they proved who they are.
    #[error("the user is gone, disabled, or was signed out meanwhile")]
    UserChanged,
}

/// A session or token to be carried by the browser.
#[derive(Clone)]
pub struct Issued {
    /// The cookie's value.
    pub value: String,
    /// When the cookie expires.
    pub expires_at: Timestamp,
    /// The session it carries.
    pub session: SessionData,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("session", &self.session.id).finish_non_exhaustive()
    }
}

/// Who signs in, how, and from where.
#[derive(Debug)]
pub struct Grant<'a> {
    /// The person, as they were when they proved who they are.
    pub user: &'a User,
    /// How they proved it.
    pub method: AuthMethod,
    /// The host's own claims.
    pub claims: Claims,
    /// The browser.
    pub device: Device,
    /// The session this browser had, which ends when the new one begins.
    pub replaces: Option<&'a SessionData>,
}

/// What people recognise a browser by in the list of their sessions.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// `User-Agent`, cut to 256 characters.
    pub user_agent: Option<String>,
    /// The network address.
    pub address: Option<String>,
}
