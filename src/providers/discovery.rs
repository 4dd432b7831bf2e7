//! An OpenID provider's discovery document and keys (OpenID Connect Discovery section 4), kept.
//!
//! - The document must name exactly the configured issuer, or it is refused.
//! - One request at a time asks; the others wait for its answer. After a failure nobody asks for a few seconds.
//! - What is an hour old is asked for again; when the provider is away then, what is known goes on verifying.
//! - A key that is not known is asked for at most every [`REFRESH_EVERY`] seconds, however many tokens name one.

use std::sync::Arc;

use jsonwebtoken::jwk::Jwk;
use serde_json::Value;
use tokio::sync::Mutex;

use super::ProviderError;
use super::http::Http;
use crate::clock::{Clock, Timestamp};
use crate::config::is_endpoint;

/// How long an answer is good.
const KEEP: i64 = 60 * 60;
/// How often keys are asked for because of one that is not known, at most; seconds.
pub const REFRESH_EVERY: i64 = 30;
/// How long after a failure nobody asks, seconds.
const REST: i64 = 3;

/// What the document says.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) userinfo_endpoint: Option<String>,
    pub(super) algorithms: Vec<String>,
    pub(super) client_auth: Vec<String>,
    /// Whether every answer names its issuer (RFC 9207 section 3).
    pub(super) iss_parameter: bool,
    jwks_uri: String,
}

/// An issuer and what is known of it.
#[derive(Debug)]
pub(super) struct Issuer {
    http: Http,
    clock: Arc<dyn Clock>,
    /// Where the document is.
    address: String,
    /// The issuer that it must name.
    named: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    metadata: Option<(Arc<Metadata>, Timestamp)>,
    keys: Option<(Arc<Vec<Jwk>>, Timestamp)>,
    failed_at: Option<Timestamp>,
}

impl Issuer {
    pub(super) fn new(http: Http, clock: Arc<dyn Clock>, issuer: &str, multi_tenant: bool) -> Self {
        let named = if multi_tenant {
            issuer.replace("/common/", "/{tenantid}/").replace("/organizations/", "/{tenantid}/")
        } else {
            issuer.to_owned()
        };
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Self { http, clock, address, named, state: Mutex::default() }
    }

    /// What the document says.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let mut state = self.state.lock().await;
        self.metadata_in(&mut state).await
    }

    /// The keys, as far as they are known.
    pub(super) async fn keys(&self) -> Result<Arc<Vec<Jwk>>, ProviderError> {
        let mut state = self.state.lock().await;
        match &state.keys {
            Some((keys, at)) if self.clock.now().since(*at) < KEEP => Ok(Arc::clone(keys)),
            _ => self.fetch_keys(&mut state).await,
        }
    }

    /// The keys after one was met that `known` does not hold.
    pub(super) async fn newer_keys(&self, known: &Arc<Vec<Jwk>>) -> Result<Arc<Vec<Jwk>>, ProviderError> {
        let mut state = self.state.lock().await;
        match &state.keys {
            Some((keys, at)) if !Arc::ptr_eq(keys, known) || self.clock.now().since(*at) < REFRESH_EVERY => {
                Ok(Arc::clone(keys))
            }
            _ => self.fetch_keys(&mut state).await,
        }
    }

    async fn metadata_in(&self, state: &mut State) -> Result<Arc<Metadata>, ProviderError> {
        if let Some((metadata, at)) = &state.metadata
            && self.clock.now().since(*at) < KEEP
        {
            return Ok(Arc::clone(metadata));
        }
        let found = match self.ask(state, &self.address).await {
            Ok(document) => self.read(&document),
            Err(error) => Err(error),
        };
        match (found, &state.metadata) {
            (Ok(found), _) => {
                let found = Arc::new(found);
                state.metadata = Some((Arc::clone(&found), self.clock.now()));
                Ok(found)
            }
            (Err(error), Some((known, _))) => {
                tracing::warn!(%error, issuer = self.named, "a discovery document could not be renewed");
                Ok(Arc::clone(known))
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn fetch_keys(&self, state: &mut State) -> Result<Arc<Vec<Jwk>>, ProviderError> {
        let metadata = self.metadata_in(state).await?;
        let found = self.ask(state, &metadata.jwks_uri).await.map(|document| read_keys(&document));
        match (found, &state.keys) {
            (Ok(found), _) => {
                let found = Arc::new(found);
                state.keys = Some((Arc::clone(&found), self.clock.now()));
                Ok(found)
            }
            (Err(error), Some((known, _))) => {
                tracing::warn!(%error, issuer = self.named, "an issuer's keys could not be renewed");
                Ok(Arc::clone(known))
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn ask(&self, state: &mut State, address: &str) -> Result<Value, ProviderError> {
        let now = self.clock.now();
        if state.failed_at.is_some_and(|at| (0..REST).contains(&now.since(at))) {
            return Err(ProviderError::Unreachable("it failed a moment ago".to_owned()));
        }
        let answer = self.http.get(address, None).await;
        state.failed_at = answer.is_err().then_some(now);
        answer
    }

    fn read(&self, document: &Value) -> Result<Metadata, ProviderError> {
        let wrong =
            |what: &str| ProviderError::Answer(format!("the discovery document of {} {what}", self.named));
        // A document that names another issuer is another's (section 4.3).
        if document.get("issuer").and_then(Value::as_str) != Some(self.named.as_str()) {
            return Err(wrong("names another issuer"));
        }
        let stays_secure = |url: &str| {
            is_endpoint(url) && (url.starts_with("https://") || self.named.starts_with("http://"))
        };
        let endpoint = |name: &str| match document.get(name).and_then(Value::as_str) {
            Some(url) if stays_secure(url) => Ok(Some(url.to_owned())),
            Some(_) => Err(wrong(&format!("has an unusable {name}"))),
            None => Ok(None),
        };
        let required = |name: &str| endpoint(name)?.ok_or_else(|| wrong(&format!("has no {name}")));
        let list = |name: &str| -> Vec<String> {
            let items = document.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let iss = document.get("authorization_response_iss_parameter_supported").and_then(Value::as_bool);
        Ok(Metadata {
            issuer: self.named.clone(),
            authorization_endpoint: required("authorization_endpoint")?,
            token_endpoint: required("token_endpoint")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            algorithms: list("id_token_signing_alg_values_supported"),
            client_auth: list("token_endpoint_auth_methods_supported"),
            iss_parameter: iss == Some(true),
            jwks_uri: required("jwks_uri")?,
        })
    }
}

/// The keys that we can use; others are left out.
fn read_keys(document: &Value) -> Vec<Jwk> {
    let keys = document.get("keys").and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(|key| serde_json::from_value(key.clone()).ok()).collect()
}
