//! People's tokens at other sites: kept sealed, renewed by one request at a time.

use super::errors::SignInError;
use super::federated::closed;
use super::service::SignIn;
use crate::model::UserId;
use crate::providers::{Federation, Provider, ProviderError, ProviderTokens};
use crate::secret::PlainToken;
use crate::store::SealedTokens;

/// An access token that ends within this time is renewed, seconds.
const RENEW_BEFORE: i64 = 30;
/// How long one request may take to renew tokens before another may try, seconds.
const LEASE: i64 = 20;
/// How often a request looks whether another has renewed them, and how long it waits in between.
const LOOKS: u32 = 100;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

impl SignIn {
    /// A person's tokens at a provider, good for half a minute at least: renewed when they must be, by one request at a
    /// time across all instances. `None` when there are none, or none that can be renewed.
    ///
    /// # Errors
    /// [`SignInError::Store`], or [`SignInError::Provider`] when the provider refuses to renew.
    pub async fn provider_tokens(
        &self,
        user: &UserId,
        provider: &str,
    ) -> Result<Option<ProviderTokens>, SignInError> {
        let federation = self.federation.as_ref().ok_or_else(closed)?;
        let Some(provider) = federation.find(provider) else {
            return Ok(None);
        };
        for _ in 0..LOOKS {
            let found = self.store.find_tokens(user, &provider.config().id).await?;
            let opened = found.and_then(|SealedTokens { account, sealed }| {
                federation.open_tokens(&account, &sealed).map(|tokens| (account, sealed, tokens))
            });
            let Some((account, sealed, tokens)) = opened else {
                return Ok(None);
            };
            if !self.is_ending(&tokens) {
                self.reseal_tokens(federation, &account, &sealed, &tokens).await?;
                return Ok(Some(tokens));
            }
            if tokens.refresh_token.is_none() {
                return Ok(None);
            }
            if let Some(tokens) = self.renew_leased(federation, provider, &account).await? {
                return Ok(Some(tokens));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(ProviderError::Unreachable("another request is renewing the tokens".to_owned()).into())
    }

    /// Seals tokens anew while they are at hand, so that the secret that sealed them can go. That it cannot be stored now is no
    /// reason to keep them from anybody: it is done at the next use, or by the background.
    async fn reseal_tokens(
        &self,
        federation: &Federation,
        account: &str,
        sealed: &str,
        tokens: &ProviderTokens,
    ) -> Result<(), SignInError> {
        if federation.is_current(account, sealed) {
            return Ok(());
        }
        let anew = federation.seal_tokens(account, tokens)?;
        if let Err(error) = self.store.reseal_tokens(account, sealed, &anew).await {
            tracing::warn!(%error, "tokens of another site could not be sealed anew");
        }
        Ok(())
    }

    /// Renews tokens if this request gets the lease. `None` when another has it.
    async fn renew_leased(
        &self,
        federation: &Federation,
        provider: &Provider,
        account: &str,
    ) -> Result<Option<ProviderTokens>, SignInError> {
        let lease = PlainToken::generate().map_err(|error| SignInError::Internal(error.to_string()))?;
        let lease = lease.hash();
        let now = self.limits.now();
        let Some(sealed) = self.store.lease_tokens(account, &lease, now, now.plus(LEASE)).await? else {
            return Ok(None);
        };
        let Some(tokens) = federation.open_tokens(account, &sealed) else {
            return Ok(None);
        };
        let outcome = if self.is_ending(&tokens) {
            federation.refresh(provider, &tokens).await
        } else {
            // Renewed between the look and the lease.
            Ok(tokens.clone())
        };
        // Sealed in either case: they may have been sealed anew meanwhile, and an old secret must not come back.
        let kept = federation.seal_tokens(account, outcome.as_ref().unwrap_or(&tokens))?;
        self.store.renew_tokens(account, &lease, &kept).await?;
        Ok(Some(outcome?))
    }

    fn is_ending(&self, tokens: &ProviderTokens) -> bool {
        tokens.expires_at.is_some_and(|end| end.since(self.limits.now()) < RENEW_BEFORE)
    }
}
