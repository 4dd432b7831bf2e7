//! The token endpoint: a code becomes tokens, and a refresh token newer ones (RFC 6749 sections 4.1.3 and 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ProviderError;
use super::http::Http;
use crate::clock::Timestamp;
use crate::config::{ClientSecret, ProviderConfig};
use crate::presets::ClientAuth;
use crate::token::compact::encode;

/// How long a client's signed proof is good, seconds.
const PROOF_AGE: i64 = 300;
/// The longest token that is kept, bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// A person's tokens at a provider. They never leave the server.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProviderTokens {
    /// What opens the provider's API.
    pub access_token: String,
    /// What renews it.
    pub refresh_token: Option<String>,
    /// When the access token ends, if the provider says so.
    pub expires_at: Option<Timestamp>,
    /// What was granted, if the provider says so.
    pub scope: Option<String>,
}

impl std::fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderTokens([redacted])")
    }
}

/// What a token endpoint answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) tokens: ProviderTokens,
    pub(super) id_token: Option<String>,
}

/// A token endpoint and how this client proves itself there.
#[derive(Debug)]
pub(super) struct TokenEndpoint<'a> {
    pub(super) http: &'a Http,
    pub(super) config: &'a ProviderConfig,
    pub(super) url: &'a str,
    /// The audience of a signed proof.
    pub(super) audience: &'a str,
    pub(super) client_auth: ClientAuth,
    pub(super) now: Timestamp,
}

impl TokenEndpoint<'_> {
    /// Exchanges a code, with the verifier whose challenge began the sign-in (RFC 7636).
    pub(super) async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Result<Answered, ProviderError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        self.ask(&form).await
    }

    /// Renews tokens. A provider that sends no new refresh token means the old one to go on.
    pub(super) async fn refresh(&self, tokens: &ProviderTokens) -> Result<ProviderTokens, ProviderError> {
        let refresh_token = tokens.refresh_token.as_deref();
        let refresh_token =
            refresh_token.ok_or_else(|| ProviderError::Refused("no refresh token".to_owned()))?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let mut fresh = self.ask(&form).await?.tokens;
        fresh.refresh_token = fresh.refresh_token.or_else(|| tokens.refresh_token.clone());
        fresh.scope = fresh.scope.or_else(|| tokens.scope.clone());
        Ok(fresh)
    }

    async fn ask(&self, form: &[(&str, &str)]) -> Result<Answered, ProviderError> {
        let secret = match &self.config.client_secret {
            ClientSecret::None => None,
            ClientSecret::Text(secret) => Some(secret.expose().to_owned()),
            ClientSecret::Signed { .. } => Some(signed_proof(self.config, self.audience, self.now)?),
        };
        let mut form = form.to_vec();
        let mut authorization = None;
        match (&secret, self.client_auth) {
            (Some(secret), ClientAuth::Basic) => authorization = Some(basic(&self.config.client_id, secret)),
            (Some(secret), ClientAuth::Post) => {
                form.extend([("client_id", self.config.client_id.as_str()), ("client_secret", secret)]);
            }
            (None, _) => form.push(("client_id", &self.config.client_id)),
        }
        let (status, answer) = self.http.post(self.url, &form, authorization.as_deref()).await?;
        // Some sites answer an error with 200.
        if let Some(code) = answer.get("error") {
            let code: String =
                code.as_str().unwrap_or("?").chars().filter(char::is_ascii_graphic).take(60).collect();
            return Err(ProviderError::CodeRefused(code));
        }
        if status != 200 {
            return Err(ProviderError::Answer(format!("status {status} from the token endpoint")));
        }
        read(&answer, self.now)
    }
}

fn read(answer: &Value, now: Timestamp) -> Result<Answered, ProviderError> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let wrong = |what: &str| ProviderError::Answer(format!("the token endpoint's answer {what}"));
    let access_token = text("access_token").ok_or_else(|| wrong("holds no access token"))?;
    let too_long =
        ["access_token", "refresh_token"].iter().any(|name| text(name).is_some_and(|t| t.len() > MAX_TOKEN));
    if too_long {
        return Err(wrong("holds a token that is too long"));
    }
    // Only bearer tokens can be used as we use them (RFC 6749 section 7.1).
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(wrong("holds a token of another type"));
    }
    let lifetime = answer.get("expires_in").and_then(|value| match value {
        Value::String(digits) => digits.parse::<i64>().ok(),
        other => other.as_i64(),
    });
    let tokens = ProviderTokens {
        access_token: access_token.to_owned(),
        refresh_token: text("refresh_token").map(str::to_owned),
        expires_at: lifetime.filter(|seconds| *seconds > 0).map(|seconds| now.plus(seconds)),
        scope: text("scope").map(str::to_owned),
    };
    Ok(Answered { tokens, id_token: text("id_token").map(str::to_owned) })
}

/// RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

/// The client's secret as Apple wants it: a token about the client, signed with its key.
pub(super) fn signed_proof(
    config: &ProviderConfig,
    audience: &str,
    now: Timestamp,
) -> Result<String, ProviderError> {
    let ClientSecret::Signed { team_id, key_id, private_key } = &config.client_secret else {
        return Err(ProviderError::Internal("there is no key to sign with".to_owned()));
    };
    let unusable = || ProviderError::Internal(format!("the private_key of {} cannot be used", config.id));
    let body: String = private_key.expose().lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body.replace("\\n", "").trim()).map_err(|_| unusable())?;
    let header = json!({ "alg": "ES256", "kid": key_id });
    let claims = json!({
        "iss": team_id,
        "iat": now.0,
        "exp": now.plus(PROOF_AGE).0,
        "aud": audience,
        "sub": config.client_id,
    });
    let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_ec_der(&der), Algorithm::ES256);
    Ok(format!("{message}.{}", signature.map_err(|_| unusable())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    #[test]
    fn an_answer_is_read_as_sites_write_it() {
        let answered =
            read(&json!({ "access_token": "a", "expires_in": "3600", "token_type": "Bearer" }), NOW).unwrap();
        assert_eq!(answered.tokens.expires_at, Some(NOW.plus(3600)));
        assert!(read(&json!({ "access_token": "a" }), NOW).unwrap().tokens.expires_at.is_none());
        for wrong in [
            json!({}),
            json!([]),
            json!({ "access_token": "" }),
            json!({ "access_token": 1 }),
            json!({ "access_token": "a", "token_type": "mac" }),
            json!({ "access_token": "a".repeat(MAX_TOKEN + 1) }),
        ] {
            assert!(read(&wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_secret_prints() {
        let answered = read(&json!({ "access_token": "sesame", "refresh_token": "open" }), NOW).unwrap();
        assert_eq!(format!("{:?}", answered.tokens), "ProviderTokens([redacted])");
    }
}
