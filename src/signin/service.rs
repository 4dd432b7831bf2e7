//! Signing in, out, and renewing.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::caught::Caught;
use super::enter::{Entered, Entry};
use super::errors::SignInError;
use super::factors::SecondFactors;
use super::hooks::{Event, Hooks, Trigger};
use super::limits::{Attempt, Counted, Limits, Receipt, network_of};
use super::mailing::Mailing;
use crate::audit::AuditLog;
use crate::config::CredentialsConfig;
use crate::model::{AuthMethod, Email};
use crate::providers::{Credentials, CredentialsError, Federation};
use crate::secret::Password;
use crate::session::{Issued, RESERVED_CLAIMS, SessionBody, SessionData, Sessions};
use crate::store::{self, Store};

/// The browser or program at the other end.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Its network address, when it is known.
    pub address: Option<IpAddr>,
    /// Its `User-Agent`, cut to a bounded length.
    pub user_agent: Option<String>,
}

/// Somebody asks to sign in by password.
#[derive(Debug)]
pub struct PasswordSignIn<'a> {
    /// The address as typed.
    pub email: &'a str,
    /// The password as typed.
    pub password: Password,
    /// Where from.
    pub client: Client,
    /// The session this browser had, which ends when the new one begins.
    pub replaces: Option<&'a SessionData>,
}

/// Signs people in and out.
#[derive(Clone)]
pub struct SignIn {
    pub(super) store: Arc<dyn Store>,
    pub(super) limits: Limits,
    pub(super) credentials: Option<Credentials>,
    pub(super) rules: Option<CredentialsConfig>,
    pub(super) hooks: Arc<dyn Hooks>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) site_name: String,
    pub(super) audit: Arc<AuditLog>,
    pub(super) factors: Option<Arc<SecondFactors>>,
    pub(super) federation: Option<Arc<Federation>>,
    pub(super) mailing: Option<Mailing>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl SignIn {
    /// From its parts. Without `credentials`, nobody signs in by password.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        limits: Limits,
        credentials: Option<(Credentials, CredentialsConfig)>,
        hooks: Arc<dyn Hooks>,
        sessions: Arc<Sessions>,
        site_name: String,
        audit: Arc<AuditLog>,
    ) -> Self {
        let (credentials, rules) = credentials.unzip();
        let hooks = Arc::new(Caught(hooks));
        Self {
            store,
            limits,
            credentials,
            rules,
            hooks,
            sessions,
            site_name,
            audit,
            factors: None,
            federation: None,
            mailing: None,
        }
    }

    /// With second factors.
    #[must_use]
    pub fn with_factors(mut self, factors: SecondFactors) -> Self {
        self.factors = Some(Arc::new(factors));
        self
    }

    /// With other sites.
    #[must_use]
    pub fn with_federation(mut self, federation: Federation) -> Self {
        self.federation = Some(Arc::new(federation));
        self
    }

    /// Signs in by password.
    ///
    /// # Errors
    /// [`SignInError`]; no session was begun then.
    pub async fn by_password(&self, request: PasswordSignIn<'_>) -> Result<Entered, SignInError> {
        let email = Email::parse(request.email).ok();
        let outcome = self.try_password(&request, email.as_ref()).await;
        let address = request.client.address;
        if let Err(error) = &outcome
            && let Some(code) = failure_code(error)
        {
            let method = AuthMethod::Pwd;
            self.tell(&Event::SignInFailed { email: email.as_ref(), code, address, method, federated: None })
                .await;
        }
        outcome
    }

    async fn try_password(
        &self,
        request: &PasswordSignIn<'_>,
        email: Option<&Email>,
    ) -> Result<Entered, SignInError> {
        let credentials = self.credentials.as_ref().ok_or(SignInError::Credentials)?;
        let typed = request.email.trim().to_lowercase();
        let account = email.map_or(typed.as_str(), Email::as_str);
        let attempt = Attempt { account, address: request.client.address };
        let turn = credentials.hasher().turn(&network_of(attempt.address)).map_err(CredentialsError::from)?;
        let receipt = match self.limits.count_sign_in(attempt).await? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => return Err(SignInError::Limited(hit)),
        };
        let identified = credentials.identify(email, &request.password).await;
        drop(turn);
        let identity = match identified {
            Ok(identity) => identity,
            Err(CredentialsError::Wrong) => return Err(SignInError::Credentials),
            Err(error) => {
                // Nothing was compared, so it was no guess.
                self.limits.take_back_later(receipt);
                return Err(error.into());
            }
        };
        self.forgive(receipt).await;
        let entry = Entry { client: &request.client, replaces: request.replaces };
        self.enter(&identity, entry).await
    }

    /// Ends a session for good.
    ///
    /// # Errors
    /// [`store::Error`]; the session goes on then.
    pub async fn sign_out(&self, session: &SessionData) -> Result<(), store::Error> {
        self.sessions.end(session).await?;
        self.tell(&Event::SignedOut { session }).await;
        Ok(())
    }

    /// Renews a session carried by the cookie value `presented`, as it was sent. `None` when another request renewed or ended it
    /// meanwhile.
    ///
    /// # Errors
    /// [`SignInError`]; the session is as it was then.
    pub async fn renew(&self, session: &SessionData, presented: &str) -> Result<Option<Issued>, SignInError> {
        let renewed = self.renewed(session, &Trigger::Renewal).await?;
        self.keep_renewed(renewed, presented).await
    }

    /// As [`SignIn::renew`], and takes in what the browser posted to `session`. What the session shows then is asked for
    /// before anything is stored: the host's hook for it may fail, too.
    ///
    /// # Errors
    /// [`SignInError`]; the session is as it was then.
    pub async fn update(
        &self,
        session: &SessionData,
        presented: &str,
        data: &Value,
    ) -> Result<Option<(Issued, Arc<SessionBody>)>, SignInError> {
        let renewed = self.renewed(session, &Trigger::Update { data }).await?;
        let body = self.session_body(&renewed).await?;
        Ok(self.keep_renewed(renewed, presented).await?.map(|issued| (issued, body)))
    }

    async fn renewed(
        &self,
        session: &SessionData,
        trigger: &Trigger<'_>,
    ) -> Result<SessionData, SignInError> {
        let mut claims = session.token_claims().clone();
        self.hooks.jwt(&mut claims, trigger).await.map_err(SignInError::Hook)?;
        // Who somebody is, and since when, is not a hook's to change.
        for name in RESERVED_CLAIMS.into_iter().filter(|name| !matches!(*name, "name" | "picture")) {
            match session.token_claims().get(name) {
                Some(value) => claims.set(name, value.clone()),
                None => claims.remove(name),
            }
        }
        Ok(self.sessions.renewed(session, &claims))
    }

    async fn keep_renewed(
        &self,
        renewed: SessionData,
        presented: &str,
    ) -> Result<Option<Issued>, SignInError> {
        let issued = self.sessions.renew(renewed, presented).await?;
        if let Some(issued) = &issued {
            self.tell(&Event::SessionRenewed { session: &issued.session }).await;
        }
        Ok(issued)
    }

    /// What `GET session` shows of a session, and what the host's `session` hook adds.
    ///
    /// # Errors
    /// [`SignInError::Hook`].
    pub async fn session_body(&self, session: &SessionData) -> Result<Arc<SessionBody>, SignInError> {
        if !self.hooks.adds_to_session() {
            return Ok(session.body());
        }
        let mut members = SessionBody::members_of(session);
        self.hooks.session(&mut members, session).await.map_err(SignInError::Hook)?;
        Ok(Arc::new(SessionBody::new(members)))
    }

    /// The host's hooks.
    #[must_use]
    pub fn hooks(&self) -> &dyn Hooks {
        &*self.hooks
    }

    /// Takes an attempt back: it was no guess.
    pub(super) async fn forgive(&self, receipt: Receipt) {
        self.limits.take_back(receipt).await;
    }
}

/// What the host is told of a failure; faults of our own are logged where they become an answer.
pub(super) fn failure_code(error: &SignInError) -> Option<&'static str> {
    match error {
        SignInError::Credentials => Some("CredentialsSignin"),
        SignInError::Verification | SignInError::WrongCode => Some("Verification"),
        SignInError::Denied(_) => Some("AccessDenied"),
        SignInError::Limited(_) => Some("RateLimited"),
        SignInError::Stale => Some("ReauthenticationRequired"),
        SignInError::NotLinked => Some("OAuthAccountNotLinked"),
        SignInError::NoAddress(_) => Some("OAuthCreateAccount"),
        SignInError::Provider(_) => Some("OAuthCallback"),
        _ => None,
    }
}
