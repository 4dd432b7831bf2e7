//! What every guard shares.

use std::sync::Arc;

use rocket::{Ignite, Rocket};

use crate::clock::Clock;
use crate::config::Config;
use crate::policy::Audit;
use crate::secret::Secrets;
use crate::session::{CookieRules, Csrf, SessionData, Sessions};
use crate::token::CLOCK_TOLERANCE;

/// Countersign's managed state: configuration and services, put there by the fairing.
#[derive(Debug)]
pub struct Auth {
    /// The checked configuration.
    pub config: Config,
    /// Names and attributes of cookies.
    pub cookies: CookieRules,
    /// The secrets in use, which may be replaced; `config` holds those of the launch.
    pub secrets: Secrets,
    /// CSRF pairs.
    pub csrf: Csrf,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What the routes declare.
    pub(crate) route_audit: Audit,
    /// Where people may be sent.
    #[cfg(feature = "server")]
    pub redirects: crate::signin::Redirects,
    /// Signing in; absent in a program that only verifies tokens.
    #[cfg(feature = "server")]
    pub sign_in: Option<crate::signin::SignIn>,
}

impl Auth {
    /// For a program that only verifies tokens.
    pub(crate) fn verifier(config: Config, clock: Arc<dyn Clock>) -> Self {
        let secrets = Secrets::new(config.secrets.clone());
        Self {
            cookies: CookieRules::of(&config),
            csrf: Csrf::new(secrets.clone()),
            sessions: Arc::new(Sessions::verifier(&config, Arc::clone(&clock), &secrets)),
            secrets,
            clock,
            route_audit: Audit::default(),
            #[cfg(feature = "server")]
            redirects: crate::signin::Redirects::new(&config.url.origin, &config.allowed_origins),
            #[cfg(feature = "server")]
            sign_in: None,
            config,
        }
    }

    /// Whether the person of a session proved to us within `session.fresh_age` who they are. A proof that is still to
    /// come is none: by a clock that was set back, an old one would be.
    pub(crate) fn is_fresh(&self, session: &SessionData) -> bool {
        let age = self.clock.now().since(session.authenticated_at);
        session.is_proven_here() && (-CLOCK_TOLERANCE..=self.config.session.fresh_age).contains(&age)
    }

    /// For `Sentinel::abort`: whether `guard` must refuse the launch, because the fairing is missing or the routes do not
    /// declare what they have to. Rocket asks when all fairings have mounted what they mount.
    pub(super) fn refuses(rocket: &Rocket<Ignite>, guard: &str) -> bool {
        if let Some(auth) = rocket.state::<Self>() {
            return auth.route_audit.refuses(rocket, &auth.config);
        }
        tracing::error!("a handler asks for `{guard}`, but the fairing is not attached");
        rocket::error!(
            "A handler asks for `countersign::{guard}`, but Countersign's fairing is not attached. \
             Add `.attach(countersign::Countersign::fairing())` to the rocket."
        );
        true
    }
}
