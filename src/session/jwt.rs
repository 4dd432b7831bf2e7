//! Sessions in a JSON Web Token.

use super::data::{Carrier, SessionData, SessionError};
use super::held::Held;
use crate::clock::Timestamp;
use crate::config::{Config, JwtConfig, SessionConfig};
use crate::model::{AuthMethod, Strategy, UserId};
use crate::secret::{Derived, PlainToken, SecretRing, Secrets, TokenHash};
#[cfg(feature = "server")]
use crate::token::MintError;
use crate::token::{Claims, Codec, CodecOptions, Format, Rejected, host_session_cookie_name};

/// The claim that names the session and stays the same through every renewal, so that ending it ends all copies.
pub(super) const SESSION_ID: &str = "sid";
/// When the person authenticated (OpenID Connect Core, section 2); the absolute age counts from here.
pub(super) const AUTH_TIME: &str = "auth_time";
/// How the person authenticated (RFC 8176).
pub(super) const METHODS: &str = "amr";

/// Claims that Countersign or the token format sets itself; a hook's own claims are the others.
pub const RESERVED_CLAIMS: [&str; 11] =
    ["sub", "name", "email", "picture", "iat", "exp", "nbf", "jti", SESSION_ID, AUTH_TIME, METHODS];

/// Reads and mints session tokens.
#[derive(Debug)]
pub(super) struct JwtSessions {
    codecs: Derived<Codecs>,
    ages: SessionConfig,
}

/// One for the secret that signs and one for those that did: which of them reads a token tells whether it is to be
/// issued anew.
#[derive(Debug)]
struct Codecs {
    current: Codec,
    previous: Option<Codec>,
}

impl Codecs {
    fn new(ring: &SecretRing, jwt: &JwtConfig, secure_cookies: bool, session: &SessionConfig) -> Self {
        let codec = |secrets: &SecretRing| {
            let (mint, accept, max_age) = (jwt.format, jwt.accept.as_slice(), session.max_age);
            let options = CodecOptions { secrets, mint, accept, secure_cookies, max_age };
            if session.host_cookies {
                return Codec::named(options, host_session_cookie_name(Format::AuthJsV5));
            }
            Codec::new(options)
        };
        let current = SecretRing::new(ring.current().clone(), Vec::new());
        Self { current: codec(&current), previous: ring.previous().as_ref().map(codec) }
    }

    /// The claims of a token, and whether a previous secret vouches for it.
    fn verify(&self, token: &str, now: Timestamp) -> Result<(Claims, bool), Rejected> {
        match (self.current.verify(token, now), &self.previous) {
            (Err(Rejected::Invalid(_)), Some(previous)) => {
                previous.verify(token, now).map(|verified| (verified.claims, true))
            }
            (outcome, _) => outcome.map(|verified| (verified.claims, false)),
        }
    }
}

impl JwtSessions {
    pub(super) fn new(config: &Config, secrets: &Secrets) -> Self {
        let (jwt, secure, session) = (config.jwt.clone(), config.url.secure, config.session.clone());
        let codecs = secrets.derive(move |ring| Codecs::new(ring, &jwt, secure, &session));
        Self { codecs, ages: config.session.clone() }
    }

    /// Verifies a token by itself; whether it was revoked is another question.
    pub(super) fn read(
        &self,
        token: &str,
        carrier: Carrier,
        now: Timestamp,
    ) -> Result<SessionData, SessionError> {
        let (claims, by_previous_secret) = match self.codecs.get().verify(token, now) {
            Ok(verified) => verified,
            Err(Rejected::Expired) => return Err(SessionError::Expired),
            Err(rejected) => {
                tracing::debug!(reason = %rejected, "a session token was refused");
                return Err(SessionError::Invalid);
            }
        };
        let mut data = session_of(claims, token, carrier).ok_or(SessionError::Invalid)?;
        data.by_previous_secret = by_previous_secret;
        if now.since(data.authenticated_at) >= self.ages.absolute_age {
            return Err(SessionError::Expired);
        }
        Ok(data)
    }

    /// Mints a token that carries `claims` and lives for the idle life, but not beyond the absolute age.
    #[cfg(feature = "server")]
    pub(super) fn mint(
        &self,
        claims: &Claims,
        now: Timestamp,
        authenticated_at: Timestamp,
    ) -> Result<(String, Timestamp), MintError> {
        let expires_at = end_of_life(&self.ages, now, authenticated_at);
        Ok((self.codecs.get().current.mint(claims, now, expires_at)?, expires_at))
    }

    /// Mints a token with the session's claims that lives exactly as long as the one it replaces.
    #[cfg(feature = "server")]
    pub(super) fn remint(&self, session: &SessionData) -> Result<String, MintError> {
        self.codecs.get().current.mint(session.token_claims(), session.renewed_at, session.expires_at)
    }
}

/// When a session renewed `now` ends: after the idle life, or at the absolute age if that is sooner.
#[cfg(feature = "server")]
pub(super) fn end_of_life(ages: &SessionConfig, now: Timestamp, authenticated_at: Timestamp) -> Timestamp {
    now.plus(ages.max_age).min(authenticated_at.plus(ages.absolute_age))
}

/// A verified token as a session. A token of another issuer lacks our claims: its session is then named by its `jti`,
/// or by the token itself, and its person authenticated when it was issued.
fn session_of(claims: Claims, token: &str, carrier: Carrier) -> Option<SessionData> {
    let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let user_id = owned(claims.subject()).or_else(|| owned(claims.email()))?;
    let renewed_at = claims.issued_at().or_else(|| claims.authenticated_at())?;
    let id = match (claims.session_id(), claims.jti()) {
        (Some(id), _) => PlainToken::parse(id).map_or_else(|| TokenHash::of(id), |plain| plain.hash()),
        (None, Some(id)) => TokenHash::of(id),
        (None, None) => TokenHash::of(token),
    };
    let method = claims
        .get(METHODS)
        .and_then(|methods| methods.get(0))
        .and_then(serde_json::Value::as_str)
        .map_or(AuthMethod::Unknown, AuthMethod::from_name);
    Some(SessionData {
        id,
        user_id: UserId::from_existing(user_id),
        name: owned(claims.name()),
        email: owned(claims.email()),
        image: owned(claims.picture()),
        strategy: Strategy::Jwt,
        method,
        authenticated_at: claims.authenticated_at().unwrap_or(renewed_at).min(renewed_at),
        renewed_at,
        expires_at: claims.expires_at()?,
        held: Held::Token(claims),
        carrier,
        by_previous_secret: false,
        #[cfg(feature = "server")]
        shown: super::shown::Shown::default(),
    })
}
