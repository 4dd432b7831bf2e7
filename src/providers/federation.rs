//! All other sites people sign in with, and the two halves of a sign-in there: going, and coming back.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::http::Http;
use super::oauth::OAuth;
use super::oidc::Oidc;
use super::profile::Profile;
use super::token_endpoint::{Answered, ProviderTokens, TokenEndpoint, signed_proof};
use super::transaction::{Leaving, Transaction, Transactions};
use super::{ProviderError, PublicProvider};
use crate::clock::Clock;
use crate::config::{ClientSecret, Endpoints, ProfileRules, ProviderConfig, SiteUrl};
use crate::presets::ClientAuth;
use crate::sealed::{PROVIDER_TOKENS, Sealer};
use crate::secret::{Secrets, same_text};

/// How long coming back may take in all: the token endpoint, the keys, the profile.
const DEADLINE: Duration = Duration::from_secs(9);
/// What a request may add to the authorization request (OpenID Connect Core section 3.1.2.1). Everything else, from `scope`
/// to `redirect_uri`, is configuration's alone.
const OVERRIDES: [&str; 6] = ["prompt", "login_hint", "display", "ui_locales", "access_type", "hd"];
/// The longest value of such a parameter.
const MAX_OVERRIDE: usize = 256;

/// Another site.
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    kind: Kind,
    redirect_uri: String,
}

#[derive(Debug)]
enum Kind {
    Oidc(Box<Oidc>),
    OAuth(OAuth),
}

/// What somebody brings back from another site.
#[derive(Debug, Default)]
pub(crate) struct Returned<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) iss: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    /// Apple's word for the name, from the browser.
    pub(crate) user: Option<&'a str>,
}

/// A sign-in that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Where the person goes.
    pub(crate) url: String,
    /// The state, by which its cookie is named.
    pub(crate) state: String,
    /// The cookie's value.
    pub(crate) sealed: String,
}

/// All of them.
#[derive(Debug)]
pub struct Federation {
    providers: Vec<Provider>,
    http: Http,
    clock: Arc<dyn Clock>,
    transactions: Transactions,
    tokens: Sealer,
}

impl Federation {
    /// Those that are configured.
    ///
    /// # Errors
    /// A key that cannot be used, or no TLS.
    pub fn new(
        configs: &[ProviderConfig],
        secrets: &Secrets,
        site: &SiteUrl,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let http = Http::new()?;
        for config in configs {
            if matches!(config.client_secret, ClientSecret::Signed { .. }) {
                signed_proof(config, "launch", clock.now())?;
            }
        }
        let provider = |config: &ProviderConfig| Provider {
            kind: Kind::new(config, &http, clock),
            redirect_uri: site.base(&format!("callback/{}", config.id)),
            config: config.clone(),
        };
        Ok(Self {
            providers: configs.iter().map(provider).collect(),
            transactions: Transactions::new(secrets),
            tokens: Sealer::new(secrets.clone(), PROVIDER_TOKENS),
            clock: Arc::clone(clock),
            http,
        })
    }

    /// The provider of this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.config.id == id)
    }

    /// All, in order of their ids.
    pub fn all(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    /// Sends somebody there. `wishes` are the request's own parameters.
    pub(crate) async fn begin(
        &self,
        provider: &Provider,
        callback_url: &str,
        leaving: Leaving<'_>,
        wishes: &[(String, String)],
    ) -> Result<Begun, ProviderError> {
        let transaction = Transaction::begin(callback_url, leaving, self.clock.now())?;
        let url = tokio::time::timeout(DEADLINE, provider.authorization_url(&transaction, wishes)).await;
        let url = url.map_err(|_| ProviderError::Unreachable("no answer in time".to_owned()))??;
        let sealed = self.transactions.seal(&provider.config.id, &transaction)?;
        Ok(Begun { url, state: transaction.state, sealed })
    }

    /// The transaction a cookie holds, when it is this provider's and this state's.
    pub(crate) fn open(&self, provider: &Provider, state: &str, sealed: &str) -> Option<Transaction> {
        self.transactions.open(&provider.config.id, state, sealed, self.clock.now())
    }

    /// Takes somebody back: who they are there, and their tokens.
    pub(crate) async fn finish(
        &self,
        provider: &Provider,
        transaction: &Transaction,
        returned: &Returned<'_>,
    ) -> Result<(Profile, ProviderTokens), ProviderError> {
        let work = async {
            // Also for errors: whose answer this is comes first (RFC 9207 section 2.4).
            provider.check_issuer(returned.iss).await?;
            if let Some(error) = returned.error {
                let code: String = error.chars().filter(char::is_ascii_graphic).take(60).collect();
                return Err(ProviderError::Refused(code));
            }
            let code = returned.code.filter(|code| !code.is_empty());
            let code = code.ok_or_else(|| ProviderError::Answer("there is no code".to_owned()))?;
            let endpoint = self.token_endpoint(provider).await?;
            let answered =
                endpoint.lend().exchange(code, &transaction.verifier, &provider.redirect_uri).await?;
            let profile = provider.identify(transaction, &answered, returned.user).await?;
            Ok((profile, answered.tokens))
        };
        let late = |_| ProviderError::Unreachable("no answer in time".to_owned());
        tokio::time::timeout(DEADLINE, work).await.map_err(late)?
    }

    /// Renews tokens.
    pub(crate) async fn refresh(
        &self,
        provider: &Provider,
        tokens: &ProviderTokens,
    ) -> Result<ProviderTokens, ProviderError> {
        let work = async { self.token_endpoint(provider).await?.lend().refresh(tokens).await };
        let late = |_| ProviderError::Unreachable("no answer in time".to_owned());
        tokio::time::timeout(DEADLINE, work).await.map_err(late)?
    }

    /// Tokens as the store keeps them, bound to their row.
    pub(crate) fn seal_tokens(
        &self,
        account: &str,
        tokens: &ProviderTokens,
    ) -> Result<String, ProviderError> {
        self.tokens.seal_json(account, tokens).map_err(|error| ProviderError::Internal(error.to_string()))
    }

    /// Tokens as the store kept them.
    pub(crate) fn open_tokens(&self, account: &str, sealed: &str) -> Option<ProviderTokens> {
        self.tokens.open_json(account, sealed)
    }

    /// Whether the newest secret sealed them.
    pub(crate) fn is_current(&self, account: &str, sealed: &str) -> bool {
        self.tokens.is_current(account, sealed)
    }

    async fn token_endpoint<'a>(&'a self, provider: &'a Provider) -> Result<Endpoint<'a>, ProviderError> {
        let (url, audience, client_auth) = match &provider.kind {
            Kind::OAuth(oauth) => (oauth.token_url.clone(), oauth.issuer(), provider.config.client_auth),
            Kind::Oidc(oidc) => {
                let metadata = oidc.metadata().await?;
                let usual = provider.config.client_auth;
                let offers = |method: &str| metadata.client_auth.iter().any(|offered| offered == method);
                let only_post = offers("client_secret_post") && !offers("client_secret_basic");
                let auth = if only_post { ClientAuth::Post } else { usual };
                (metadata.token_endpoint.clone(), metadata.issuer.clone(), auth)
            }
        };
        Ok(Endpoint { federation: self, provider, url, audience, client_auth })
    }
}

/// What a [`TokenEndpoint`] borrows from.
struct Endpoint<'a> {
    federation: &'a Federation,
    provider: &'a Provider,
    url: String,
    audience: String,
    client_auth: ClientAuth,
}

impl Endpoint<'_> {
    fn lend(&self) -> TokenEndpoint<'_> {
        TokenEndpoint {
            http: &self.federation.http,
            config: &self.provider.config,
            url: &self.url,
            audience: &self.audience,
            client_auth: self.client_auth,
            now: self.federation.clock.now(),
        }
    }
}

impl Kind {
    fn new(config: &ProviderConfig, http: &Http, clock: &Arc<dyn Clock>) -> Self {
        match &config.endpoints {
            Endpoints::Oidc { issuer } => {
                Self::Oidc(Box::new(Oidc::new(http, clock, issuer, config.multi_tenant)))
            }
            Endpoints::OAuth { authorization_url, token_url, userinfo_url, emails_url } => Self::OAuth(
                OAuth::new(http, authorization_url, token_url, userinfo_url, emails_url.as_deref()),
            ),
        }
    }
}

impl Provider {
    /// What is configured.
    #[must_use]
    pub fn config(&self) -> &ProviderConfig {
        &self.config
    }

    /// As `GET providers` shows it. NextAuth knew OpenID Connect as a type of its own from v5 on.
    #[must_use]
    pub fn public(&self, site: &SiteUrl, v5: bool) -> PublicProvider {
        let id = &self.config.id;
        PublicProvider {
            id: id.clone(),
            name: self.config.name.clone(),
            kind: if v5 && matches!(self.kind, Kind::Oidc(_)) { "oidc" } else { "oauth" },
            signin_url: site.base(&format!("signin/{id}")),
            callback_url: site.base(&format!("callback/{id}")),
        }
    }

    async fn authorization_url(
        &self,
        transaction: &Transaction,
        wishes: &[(String, String)],
    ) -> Result<String, ProviderError> {
        let (endpoint, is_oidc) = match &self.kind {
            Kind::Oidc(oidc) => (oidc.metadata().await?.authorization_endpoint.clone(), true),
            Kind::OAuth(oauth) => (oauth.authorization_url.clone(), false),
        };
        let mut url = Url::parse(&endpoint).map_err(|_| ProviderError::Internal("no URL".to_owned()))?;
        let is_allowed = |(name, value): &&(String, String)| {
            OVERRIDES.contains(&name.as_str())
                && value.len() <= MAX_OVERRIDE
                && !value.chars().any(char::is_control)
        };
        let wishes: Vec<&(String, String)> = wishes.iter().filter(is_allowed).collect();
        let configured =
            self.config.parameters.iter().filter(|(name, _)| !wishes.iter().any(|(own, _)| own == name));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("state", &transaction.state)
            .append_pair("code_challenge", &transaction.challenge())
            .append_pair("code_challenge_method", "S256");
        if !self.config.scope.is_empty() {
            query.append_pair("scope", &self.config.scope);
        }
        if is_oidc {
            query.append_pair("nonce", &transaction.nonce);
        }
        if self.config.form_post {
            query.append_pair("response_mode", "form_post");
        }
        for (name, value) in configured.chain(wishes.iter().copied()) {
            query.append_pair(name, value);
        }
        drop(query);
        Ok(url.into())
    }

    /// RFC 9207: an answer that names another issuer is another's, and one that names none where all should is, too.
    async fn check_issuer(&self, named: Option<&str>) -> Result<(), ProviderError> {
        let Kind::Oidc(oidc) = &self.kind else {
            return Ok(());
        };
        let metadata = oidc.metadata().await?;
        let wrong = |what| Err(ProviderError::Issuer(what));
        match named {
            None if metadata.iss_parameter => wrong("the answer does not name its issuer"),
            Some(issuer) if !metadata.issuer.contains('{') && !same_text(issuer, &metadata.issuer) => {
                wrong("the answer is another issuer's")
            }
            _ => Ok(()),
        }
    }

    async fn identify(
        &self,
        transaction: &Transaction,
        answered: &Answered,
        user: Option<&str>,
    ) -> Result<Profile, ProviderError> {
        match &self.kind {
            Kind::OAuth(oauth) => {
                let claims = oauth.identify(&answered.tokens.access_token).await?;
                let rules = &self.config.profile;
                let proof = oauth.proof_rule(&rules.email_verified).to_owned();
                let rules = ProfileRules { email_verified: proof, ..rules.clone() };
                Profile::read(&rules, &oauth.issuer(), claims)
            }
            Kind::Oidc(oidc) => {
                let (issuer, mut claims) = oidc.identify(&self.config, &transaction.nonce, answered).await?;
                if let (false, Some(name)) = (claims.contains_key("name"), user.and_then(posted_name)) {
                    claims.insert("name".to_owned(), name.into());
                }
                Profile::read(&self.config.profile, &issuer, claims)
            }
        }
    }
}

/// The name in Apple's form field `user`. It comes through the browser: a name to show, and nothing else of it is read.
fn posted_name(user: &str) -> Option<String> {
    let user: serde_json::Value = serde_json::from_str(user).ok()?;
    let part = |name: &str| user.get("name")?.get(name)?.as_str().map(str::to_owned);
    let parts: Vec<String> = [part("firstName"), part("lastName")].into_iter().flatten().collect();
    let name = parts.join(" ");
    (!name.trim().is_empty()).then_some(name)
}
