//! What the two CSRF-checked bodies share.

use rocket::data::{ByteUnit, ToByteUnit as _};
use rocket::http::{ContentType, Status};
use rocket::{Data, Request};

use super::Auth;
use crate::session::FetchOrigin;

/// Why a body was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfError {
    /// The token is missing or is not this browser's, or another site sent the request.
    #[error("the form's CSRF token is missing or wrong, or the request came from another site")]
    Csrf,
    /// Not the content type this handler takes.
    #[error("the content type is not accepted here")]
    ContentType,
    /// Larger than the limit.
    #[error("the body is too large")]
    TooLarge,
    /// Not well-formed.
    #[error("the body is not well-formed")]
    Malformed,
    /// Well-formed, but not what the handler takes.
    #[error("the body does not fit: {0}")]
    Shape(String),
}

impl CsrfError {
    /// The HTTP status it answers with.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Csrf => Status::Forbidden,
            Self::ContentType => Status::UnsupportedMediaType,
            Self::TooLarge => Status::PayloadTooLarge,
            Self::Malformed => Status::BadRequest,
            Self::Shape(_) => Status::UnprocessableEntity,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Csrf => "csrf_failed",
            Self::ContentType => "content_type",
            Self::TooLarge => "body_too_large",
            Self::Malformed => "body_malformed",
            Self::Shape(_) => "body_shape",
        }
    }
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

impl BodyKind {
    /// By the request's `Content-Type`; a browser sends the other simple types across sites without asking first, so
    /// they are refused (ASVS 5.0, 3.5.2).
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, CsrfError> {
        match request.content_type() {
            Some(kind) if kind.is_form() => Ok(Self::Form),
            Some(kind) if *kind.media_type() == *ContentType::JSON.media_type() => Ok(Self::Json),
            _ => Err(CsrfError::ContentType),
        }
    }
}

/// Rocket's configured limit for a kind of body.
pub(crate) fn limit_of(request: &Request<'_>, kind: BodyKind) -> ByteUnit {
    match kind {
        BodyKind::Form => request.limits().get("form").unwrap_or_else(|| 32.kibibytes()),
        BodyKind::Json => request.limits().get("json").unwrap_or_else(|| 64.kibibytes()),
    }
}

/// Reads a body within a limit.
pub(crate) async fn read_body(data: Data<'_>, limit: ByteUnit) -> Result<String, CsrfError> {
    // Not UTF-8, or the connection broke off: either way there is nothing well-formed to read.
    let body = data.open(limit).into_string().await.map_err(|_| CsrfError::Malformed)?;
    if body.is_complete() { Ok(body.into_inner()) } else { Err(CsrfError::TooLarge) }
}

/// Whether the request's own headers say that this site sent it. Rocket rewrites the method of a form whose field
/// `_method` says so, which is why a form is checked whatever its method is now.
pub(crate) fn is_same_site(request: &Request<'_>, auth: &Auth) -> bool {
    // A header that comes twice says two things: no browser sends that.
    let (Ok(origin), Ok(fetch_site)) = (only(request, "origin"), only(request, "sec-fetch-site")) else {
        return false;
    };
    FetchOrigin { origin, fetch_site }.is_allowed(&auth.config.url.origin, &auth.config.allowed_origins)
}

/// The one header of a name, if there is any.
fn only<'r>(request: &'r Request<'_>, name: &'static str) -> Result<Option<&'r str>, ()> {
    let mut all = request.headers().get(name);
    match (all.next(), all.next()) {
        (first, None) => Ok(first),
        _ => Err(()),
    }
}
