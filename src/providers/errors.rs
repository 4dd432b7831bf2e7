//! Why another site did not vouch for anybody.
//!
//! The texts are for the log and say all that is known; the codes are for the audit log, and stay as they are.

use super::id_token::IdTokenError;

/// Errors that RFC 6749 (sections 4.1.2.1 and 5.2) and OpenID Connect Core (section 3.1.2.6) register. Nothing else that a
/// site says of an error is recorded: it comes through the browser, and may say anything.
const REGISTERED: [&str; 14] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "login_required",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// Why another site did not vouch for anybody.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot be reached, or not in time.
    #[error("the other site cannot be reached: {0}")]
    Unreachable(String),
    /// Its answer breaks a rule.
    #[error("the other site's answer cannot be used: {0}")]
    Answer(String),
    /// The answer is another issuer's, or does not say whose it is (RFC 9207): perhaps a mix-up.
    #[error("the answer is not of this issuer: {0}")]
    Issuer(&'static str),
    /// Its ID token was refused.
    #[error("the ID token was refused: {0}")]
    IdToken(#[from] IdTokenError),
    /// It sent the person back with an error.
    #[error("the other site says no: {0}")]
    Refused(String),
    /// Its token endpoint says no: the code was used, is another's, or is not this browser's (RFC 7636 section 4.6).
    #[error("the token endpoint says {0}")]
    CodeRefused(String),
    /// It does not say who somebody is.
    #[error("the profile cannot be used: {0}")]
    Profile(String),
    /// The sign-in was not begun in this browser, is over, or came back before.
    #[error("the sign-in cannot be gone on with: {0}")]
    State(#[from] StateError),
    /// A fault of our own.
    #[error("{0}")]
    Internal(String),
}

/// Why a sign-in that came back cannot be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The answer is no list of fields, or names one twice.
    #[error("the answer is malformed")]
    Malformed,
    /// It carries no state.
    #[error("there is no state")]
    Missing,
    /// No cookie of this browser belongs to the state.
    #[error("it was not begun in this browser")]
    Unknown,
    /// The cookie is another provider's or another state's, or too old.
    #[error("it is another provider's, or over")]
    Mismatch,
    /// It came back before.
    #[error("it came back before")]
    Replayed,
    /// Whoever began it is not signed in any more, or somebody else is.
    #[error("somebody else is signed in now")]
    SomebodyElse,
}

impl ProviderError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Answer(_) => "answer_unusable",
            Self::Issuer(_) | Self::IdToken(IdTokenError::Issuer) => "issuer_mismatch",
            Self::IdToken(IdTokenError::Nonce) => "nonce_mismatch",
            Self::IdToken(_) => "id_token_refused",
            Self::Refused(_) => "provider_error",
            Self::CodeRefused(_) => "code_refused",
            Self::Profile(_) => "profile_unusable",
            Self::State(error) => error.code(),
            Self::Internal(_) => "internal",
        }
    }

    /// The site's own code for its refusal, when it is a registered one.
    #[must_use]
    pub fn said(&self) -> Option<&'static str> {
        let (Self::Refused(said) | Self::CodeRefused(said)) = self else {
            return None;
        };
        REGISTERED.into_iter().find(|code| code == said)
    }
}

impl StateError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "answer_malformed",
            Self::Missing => "state_missing",
            Self::Unknown => "state_unknown",
            Self::Mismatch => "state_mismatch",
            Self::Replayed => "state_replayed",
            Self::SomebodyElse => "somebody_else",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_site_says_is_told_only_when_it_is_registered() {
        assert_eq!(ProviderError::Refused("access_denied".to_owned()).said(), Some("access_denied"));
        assert_eq!(ProviderError::CodeRefused("invalid_grant".to_owned()).said(), Some("invalid_grant"));
        for said in ["", "access_denied ", "ACCESS_DENIED", "hunter2"] {
            assert_eq!(ProviderError::Refused(said.to_owned()).said(), None, "{said:?}");
        }
        assert_eq!(ProviderError::Internal("access_denied".to_owned()).said(), None);
    }
}
