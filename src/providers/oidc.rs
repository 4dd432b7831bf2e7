//! OpenID Connect.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::ProviderError;
use super::discovery::{Issuer, Metadata};
use super::http::Http;
use super::id_token::{self, Expected, IdTokenError};
use super::token_endpoint::Answered;
use crate::clock::Clock;
use crate::config::{ClientSecret, ProviderConfig};

/// Asymmetric algorithms: whoever can check a signature cannot make one.
const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// A provider that speaks OpenID Connect.
#[derive(Debug)]
pub(super) struct Oidc {
    issuer: Issuer,
    http: Http,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    pub(super) fn new(http: &Http, clock: &Arc<dyn Clock>, issuer: &str, multi_tenant: bool) -> Self {
        Self {
            issuer: Issuer::new(http.clone(), Arc::clone(clock), issuer, multi_tenant),
            http: http.clone(),
            clock: Arc::clone(clock),
        }
    }

    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        self.issuer.metadata().await
    }

    /// Who signed in: the issuer and the claims, from the ID token, and from the userinfo endpoint what it leaves out.
    pub(super) async fn identify(
        &self,
        config: &ProviderConfig,
        nonce: &str,
        answered: &Answered,
    ) -> Result<(String, Map<String, Value>), ProviderError> {
        let metadata = self.metadata().await?;
        let token = answered.id_token.as_deref();
        let token = token.ok_or_else(|| ProviderError::Answer("there is no ID token".to_owned()))?;
        let mut claims = self.verify(config, nonce, answered, &metadata, token).await?;
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_whole = claims.contains_key("email") && claims.contains_key("name");
        if let (false, Some(endpoint)) = (is_whole, &metadata.userinfo_endpoint) {
            let more = self.http.get(endpoint, Some(&answered.tokens.access_token)).await?;
            // Another subject's claims must not be mixed in (OpenID Connect Core section 5.3.2).
            if more.get("sub").is_none() || more.get("sub") != claims.get("sub") {
                return Err(ProviderError::Answer(
                    "the userinfo endpoint speaks of somebody else".to_owned(),
                ));
            }
            for (name, value) in more.as_object().into_iter().flatten() {
                claims.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok((issuer, claims))
    }

    async fn verify(
        &self,
        config: &ProviderConfig,
        nonce: &str,
        answered: &Answered,
        metadata: &Metadata,
        token: &str,
    ) -> Result<Map<String, Value>, ProviderError> {
        let algorithms = algorithms(config, metadata);
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: &config.client_id,
            client_secret: match &config.client_secret {
                ClientSecret::Text(secret) => Some(secret),
                ClientSecret::None | ClientSecret::Signed { .. } => None,
            },
            nonce,
            algorithms: &algorithms,
            access_token: Some(&answered.tokens.access_token),
            now: self.clock.now(),
        };
        let keys = self.issuer.keys().await?;
        match id_token::verify(token, &keys, &expected) {
            Err(IdTokenError::UnknownKey) => {
                let keys = self.issuer.newer_keys(&keys).await?;
                Ok(id_token::verify(token, &keys, &expected)?)
            }
            outcome => Ok(outcome?),
        }
    }
}

/// Those that are configured; else the asymmetric ones that the provider names, and the preset's own.
fn algorithms(config: &ProviderConfig, metadata: &Metadata) -> Vec<Algorithm> {
    let parse = |name: &String| name.parse::<Algorithm>().ok();
    if !config.id_token_algorithms.is_empty() {
        return config.id_token_algorithms.iter().filter_map(parse).collect();
    }
    let named = metadata.algorithms.iter().filter_map(parse).filter(|own| ASYMMETRIC.contains(own));
    let mut all: Vec<Algorithm> = named.chain(config.further_algorithms.iter().filter_map(parse)).collect();
    if all.is_empty() {
        // The default of registration (OpenID Connect Dynamic Client Registration section 2).
        all.push(Algorithm::RS256);
    }
    all
}
