//! The only place where an error becomes a status.
//!
//! People see fixed texts chosen by a code; what really happened goes to the log. The same failure answers a page, a
//! script and a program each in its own form.

use rocket::Request;
use rocket::http::Status;

use super::answer::Answer;
use super::medium::prefers_html;
use super::page::failure_page;
use crate::config::SiteUrl;
use crate::guards::CsrfError;
use crate::providers::ProviderError;
use crate::session::{SessionError, encode_component};
use crate::signin::{FactorError, Redirects, SignInError, SignUpError};
use crate::store;

/// How long to wait before asking again when the store does not answer, seconds.
pub(crate) const RETRY_AFTER: i64 = 5;
/// The other site tells no address.
pub(super) const ADDRESS_MISSING: &str = "address_missing";

/// A failure, ready to be answered.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The HTTP status.
    pub(crate) status: Status,
    /// The stable code of problem documents.
    pub(crate) code: &'static str,
    /// NextAuth's error code, which selects the text people see.
    pub(crate) error: &'static str,
    /// Seconds.
    pub(crate) retry_after: Option<i64>,
    /// A page of the host's that explains.
    pub(crate) location: Option<String>,
    /// The other site it was at, when the text depends on it.
    pub(crate) provider: Option<String>,
}

impl Failure {
    const fn new(status: Status, code: &'static str, error: &'static str) -> Self {
        Self { status, code, error, retry_after: None, location: None, provider: None }
    }

    fn later(self, seconds: i64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The store did not answer.
    pub(crate) fn unavailable() -> Self {
        Self::new(Status::ServiceUnavailable, "service_unavailable", "Unavailable").later(RETRY_AFTER)
    }

    /// Something that should not happen.
    pub(crate) const fn internal() -> Self {
        Self::new(Status::InternalServerError, "internal_error", "Configuration")
    }

    /// There is no such thing, or not for this person.
    pub(crate) const fn not_found() -> Self {
        Self::new(Status::NotFound, "not_found", "NotFound")
    }

    /// There is no such action.
    pub(crate) const fn action_unknown() -> Self {
        Self::new(Status::BadRequest, "action_unknown", "NotFound")
    }

    /// Somebody who signed in too long ago for this goes to the page that asks for a proof.
    pub(crate) fn stale(page: String) -> Self {
        let denied = Self::new(Status::Forbidden, "reauthentication_required", "AccessDenied");
        Self { location: Some(page), ..denied }
    }

    /// A sign-in at another site that could not be begun.
    pub(crate) fn from_start(error: &ProviderError) -> Self {
        tracing::warn!(%error, "a sign-in at another site could not be started");
        Self::new(Status::ServiceUnavailable, "provider_unavailable", "OAuthSignin").later(RETRY_AFTER)
    }

    /// Why it is not known who sent the request; `None` when it is known that nobody is signed in.
    pub(crate) fn unless_verdict(reason: SessionError) -> Option<Self> {
        match reason {
            SessionError::Unavailable => Some(Self::unavailable()),
            SessionError::Failed => Some(Self::internal()),
            _ => None,
        }
    }

    /// Where a script is told to go: the error page, which knows the text.
    fn url(&self, site: &SiteUrl) -> String {
        match (&self.location, self.error) {
            // The host's word is validated like everybody's.
            (Some(location), _) => Redirects::new(&site.origin, &[]).choose([Some(location.as_str())]),
            (None, "csrf") => format!("{}?csrf=true", site.base("signin")),
            (None, "CredentialsSignin") => {
                format!("{}?error=CredentialsSignin&provider=credentials", site.base("error"))
            }
            (None, error) => {
                let url = format!("{}?error={}", site.base("error"), encode_component(error));
                self.provider.iter().fold(url, |url, provider| {
                    format!("{url}&reason={}&provider={}", self.code, encode_component(provider))
                })
            }
        }
    }

    /// For a sender of a form of the protocol: scripts get JSON with the URL, browsers are redirected where NextAuth
    /// redirects, and a page says so directly where waiting is the only remedy.
    pub(crate) async fn answer_action(self, request: &Request<'_>, site: &SiteUrl, script: bool) -> Answer {
        let wait = self.retry_after;
        let answer = if script {
            Answer::script_redirect(self.status, &self.url(site))
        } else if matches!(
            self.error,
            "csrf"
                | "CredentialsSignin"
                | "AccessDenied"
                | "OAuthSignin"
                | "OAuthCallback"
                | "OAuthCreateAccount"
                | "OAuthAccountNotLinked"
                | "Verification"
                | "EmailSignin"
        ) {
            Answer::redirect(self.url(site))
        } else {
            return self.answer(request).await;
        };
        wait.into_iter().fold(answer, Answer::retry_after)
    }

    /// For everybody else: a page for a browser, a problem document for a program.
    pub(crate) async fn answer(self, request: &Request<'_>) -> Answer {
        let answer = if prefers_html(request) {
            failure_page(request, &self).await
        } else {
            Answer::problem(self.status, self.code, None)
        };
        self.retry_after.into_iter().fold(answer, Answer::retry_after)
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Credentials => {
                Self::new(Status::Unauthorized, "credentials_wrong", "CredentialsSignin")
            }
            SignInError::Verification => Self::new(Status::BadRequest, "verification_failed", "Verification"),
            SignInError::WrongCode => Self::new(Status::BadRequest, "code_wrong", "Verification"),
            SignInError::Email => Self::new(Status::BadRequest, "email_invalid", "EmailSignin"),
            SignInError::NoMail => Self::new(Status::BadRequest, "mail_unavailable", "default"),
            SignInError::Denied(location) => {
                Self { location, ..Self::new(Status::Forbidden, "access_denied", "AccessDenied") }
            }
            SignInError::Stale => Self::new(Status::Forbidden, "reauthentication_required", "AccessDenied"),
            SignInError::Limited(hit) => limited(hit.retry_after),
            SignInError::Busy(seconds) => busy(seconds),
            SignInError::NotLinked | SignInError::Overtaken => {
                Self::new(Status::Forbidden, "account_not_linked", "OAuthAccountNotLinked")
            }
            SignInError::NoAddress(provider) => {
                tracing::warn!(provider, "the other site tells no address: it wants a permission for that");
                let failure = Self::new(Status::Forbidden, ADDRESS_MISSING, "OAuthCreateAccount");
                Self { provider: Some(provider), ..failure }
            }
            SignInError::Provider(error) => {
                tracing::warn!(%error, "a sign-in at another site failed");
                Self::new(Status::Unauthorized, "provider_failed", "OAuthCallback")
            }
            SignInError::Store(error) => error.into(),
            SignInError::Hook(error) => {
                tracing::error!(%error, "a hook failed");
                Self::internal()
            }
            SignInError::Internal(error) => {
                tracing::error!(%error, "a sign-in failed");
                Self::internal()
            }
        }
    }
}

impl From<FactorError> for Failure {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Expired => Self::new(Status::Unauthorized, "sign_in_expired", "SignInExpired"),
            FactorError::Wrong => Self::new(Status::Unauthorized, "second_factor_wrong", "SecondFactor"),
            FactorError::Unconfirmed => Self::new(Status::Forbidden, "email_unconfirmed", "AccessDenied"),
            FactorError::Limited(hit) => limited(hit.retry_after),
            FactorError::Other(error) => error.into(),
        }
    }
}

impl From<SignUpError> for Failure {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::Invalid(_) => Self::new(Status::BadRequest, "form_invalid", "Signup"),
            SignUpError::Limited(hit) => limited(hit.retry_after),
            SignUpError::Busy(seconds) => busy(seconds),
            SignUpError::Store(error) => error.into(),
            SignUpError::Internal(error) => {
                tracing::error!(%error, "a sign-up failed");
                Self::internal()
            }
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "the store did not answer");
        Self::unavailable()
    }
}

impl From<&CsrfError> for Failure {
    fn from(error: &CsrfError) -> Self {
        let shown = if *error == CsrfError::Csrf { "csrf" } else { "default" };
        Self::new(error.status(), error.code(), shown)
    }
}

fn limited(seconds: i64) -> Failure {
    Failure::new(Status::TooManyRequests, "rate_limited", "RateLimited").later(seconds)
}

fn busy(seconds: u32) -> Failure {
    Failure::new(Status::ServiceUnavailable, "busy", "Unavailable").later(seconds.into())
}
