//! The one fairing: configuration → store → migrations → managed state → mounted routes and catchers.

use std::sync::Arc;

use rocket::fairing::{self, Fairing, Info, Kind};
use rocket::{Build, Orbit, Request, Response, Rocket};

use crate::answers;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::guards::Auth;
#[cfg(feature = "server")]
use crate::mail::Mailer;
use crate::presets::Preset;
#[cfg(feature = "server")]
use crate::readiness::LastAnswer;
#[cfg(feature = "server")]
use crate::server;
#[cfg(feature = "server")]
use crate::signin::{Hooks, NoHooks};
#[cfg(feature = "server")]
use crate::stopping;
#[cfg(feature = "server")]
use crate::store::Store;

/// Countersign for a Rocket application.
///
/// ```no_run
/// use countersign::{Countersign, Session};
///
/// #[rocket::get("/api/me")]
/// fn me(session: Session) -> String {
///     session.email().unwrap_or_default().to_owned()
/// }
///
/// #[rocket::launch]
/// fn rocket() -> _ {
///     rocket::build().attach(Countersign::fairing()).mount("/", rocket::routes![me])
/// }
/// ```
#[derive(Clone)]
pub struct Countersign {
    clock: Arc<dyn Clock>,
    #[cfg(feature = "server")]
    hooks: Arc<dyn Hooks>,
    #[cfg(feature = "server")]
    store: Option<Arc<dyn Store>>,
    #[cfg(feature = "server")]
    templates: Vec<(String, String)>,
    #[cfg(feature = "server")]
    mailer: Option<Arc<dyn Mailer>>,
    #[cfg(feature = "server")]
    verify_only: bool,
    presets: Vec<Preset>,
}

/// What a test puts in the place of the real thing, as managed state.
#[cfg(feature = "server")]
pub(crate) struct Replaced {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) mails: crate::mail::CapturedMails,
}

impl std::fmt::Debug for Countersign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Countersign").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Countersign {
    /// The fairing, configured by `[default.auth]` in Rocket.toml: sign-in, sessions, pages and guards.
    ///
    /// Built without the feature `server`, it only verifies tokens.
    #[must_use]
    pub fn fairing() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            #[cfg(feature = "server")]
            hooks: Arc::new(NoHooks),
            #[cfg(feature = "server")]
            store: None,
            #[cfg(feature = "server")]
            templates: Vec::new(),
            #[cfg(feature = "server")]
            mailer: None,
            #[cfg(feature = "server")]
            verify_only: false,
            presets: Vec::new(),
        }
    }

    /// The fairing of a program that only verifies tokens: guards work by the shared secret alone, there is no database
    /// and nothing is mounted. What was revoked elsewhere is not known to it.
    #[must_use]
    pub fn verifier() -> Self {
        Self {
            #[cfg(feature = "server")]
            verify_only: true,
            ..Self::fairing()
        }
    }

    /// With a clock that tests move.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// With another site that people can sign in with; see [`crate::presets`].
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        self.presets.push(preset);
        self
    }

    /// With the application's own part in signing in.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Arc::new(hooks);
        self
    }

    /// With a store of the application's own instead of the one `database_url` names.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// With templates of the application's own, to be shown by [`crate::PageContext::render`]: names like `site/home`,
    /// and their texts. A file of that name and the ending `.html` below `template_dir` replaces one.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn templates(mut self, templates: impl IntoIterator<Item = (String, String)>) -> Self {
        self.templates.extend(templates);
        self
    }

    /// With a way to send mail of the application's own instead of the server that `providers.email` names.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn mailer(mut self, mailer: impl Mailer + 'static) -> Self {
        self.mailer = Some(Arc::new(mailer));
        self
    }

    async fn ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        let config = match Config::with_presets(rocket.figment(), &self.presets) {
            Ok(config) => config,
            Err(errors) => {
                rocket::error!("Countersign cannot start:\n{errors}");
                return Err(rocket);
            }
        };
        let clock = Arc::clone(&self.clock);
        #[cfg(feature = "server")]
        let replaced = rocket.state::<Replaced>();
        #[cfg(feature = "server")]
        let clock = replaced.map_or(clock, |replaced| Arc::clone(&replaced.clock));
        #[cfg(feature = "server")]
        if !self.verify_only {
            let store = replaced.map(|replaced| Arc::clone(&replaced.store)).or_else(|| self.store.clone());
            let mailer = replaced.map(|replaced| Arc::new(replaced.mails.clone()) as Arc<dyn Mailer>);
            let mailer = mailer.or_else(|| self.mailer.clone());
            let parts = server::Parts {
                clock,
                hooks: Arc::clone(&self.hooks),
                store,
                templates: self.templates.clone(),
                mailer,
            };
            let delay = config.shutdown_delay;
            return match server::start(config, parts).await {
                Ok(started) => {
                    let rocket = stopping::take_signals(rocket, delay);
                    Ok(server::mount(rocket, started).manage(LastAnswer::default()))
                }
                Err(error) => {
                    rocket::error!("Countersign cannot start: {error}");
                    Err(rocket)
                }
            };
        }
        Ok(rocket.manage(Auth::verifier(config, clock)))
    }
}

#[rocket::async_trait]
impl Fairing for Countersign {
    fn info(&self) -> Info {
        Info {
            name: "Countersign",
            kind: Kind::Ignite | Kind::Liftoff | Kind::Response | Kind::Shutdown | Kind::Singleton,
        }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        self.ignite(rocket).await
    }

    async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
        #[cfg(feature = "server")]
        {
            server::spawn_background(rocket);
            stopping::spawn(rocket);
        }
        #[cfg(not(feature = "server"))]
        let _ = rocket;
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        answers::finish(request, response);
    }

    async fn on_shutdown(&self, rocket: &Rocket<Orbit>) {
        #[cfg(feature = "server")]
        server::shut_down(rocket);
        #[cfg(not(feature = "server"))]
        let _ = rocket;
    }
}
