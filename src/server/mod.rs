//! Putting the service together.

mod background;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rocket::{Build, Rocket};

pub(crate) use background::{Background, shut_down, spawn_background};
pub use background::{clean_once, close};

use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::config::{Config, CredentialsConfig};
use crate::guards::Auth;
use crate::mail::{CapturedMails, Mailer, Office, WayOut};
use crate::metrics;
use crate::pages::{Letters, LoadError, Pages};
use crate::policy::Audit;
use crate::providers::hasher::HashError;
use crate::providers::passkeys::Passkeys;
use crate::providers::{Credentials, Federation, Hasher, ProviderError};
use crate::routes;
use crate::secret::Secrets;
use crate::session::{CookieRules, Csrf, RevocationList, Sessions};
use crate::signin::{Hooks, Limits, Mailing, Redirects, Resealing, SecondFactors, SignIn};
use crate::store::{self, Store};

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error("{0}")]
    Store(#[from] store::Error),
    /// The folder of the database.
    #[error("the folder {0} for the database cannot be made: {1}")]
    Folder(String, std::io::Error),
    /// The pages.
    #[error("{0}")]
    Pages(#[from] LoadError),
    /// The listener for metrics.
    #[error("metrics cannot be served at {0} ({1}): set another address at `auth.metrics`, or remove it")]
    Metrics(SocketAddr, std::io::Error),
    /// The other sites.
    #[error("the other sites cannot be used: {0}")]
    Providers(#[from] ProviderError),
    /// The mail.
    #[error("{0}")]
    Mail(String),
    /// The password hashing.
    #[error("passwords cannot be hashed: {0}")]
    Hasher(#[from] HashError),
}

/// What the application brings along.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) templates: Vec<(String, String)>,
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
}

/// A service that is ready to be mounted.
pub(crate) struct Started {
    auth: Auth,
    pages: Pages,
    background: Background,
    outbox: Option<CapturedMails>,
}

/// Opens the database a configuration names, making the folder of an embedded one.
///
/// # Errors
/// [`StartError`] in one sentence.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    if let store::Database::Sqlite(path) = &config.database.database
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)
            .map_err(|error| StartError::Folder(folder.display().to_string(), error))?;
    }
    Ok(store::open(&config.database).await?)
}

/// Opens and migrates the store, loads pages and revocations.
pub(crate) async fn start(config: Config, parts: Parts) -> Result<Started, StartError> {
    let Parts { clock, hooks, store, templates, mailer } = parts;
    let pages = Pages::load(&config.template_dir, &templates)?;
    let store = match store {
        Some(store) => store,
        None => open_store(&config).await?,
    };
    store.migrate().await?;
    let metrics = config.metrics.map(listen).transpose()?;
    let cookies = CookieRules::of(&config);
    let secrets = Secrets::new(config.secrets.clone());
    let revocations = Arc::new(RevocationList::default());
    let sessions = Arc::new(Sessions::stored(
        &config,
        Arc::clone(&clock),
        Arc::clone(&store),
        Arc::clone(&revocations),
        &cookies,
        &secrets,
    ));
    sessions.refresh_revocations().await?;
    let limits = Limits::new(Arc::clone(&store), Arc::clone(&clock), config.limits.clone());
    let owing = limits.clone();
    let credentials = config.credentials.as_ref().map(|rules| credentials(&store, rules)).transpose()?;
    let resealing = Resealing::new(Arc::clone(&store), &secrets);
    let federation = Federation::new(&config.providers, &secrets, &config.url, &clock)?;
    let site_name = config.site_name.clone();
    let audit = Arc::new(AuditLog::new(Arc::clone(&store), Arc::clone(&clock), &config.audit_log));
    let passkeys = config.passkeys.then(|| Passkeys::new(&config.url, &site_name)).flatten();
    let factors = SecondFactors::new(secrets.clone(), Arc::clone(&clock), config.totp, passkeys);
    let sign_in = SignIn::new(
        Arc::clone(&store),
        limits,
        credentials,
        hooks,
        Arc::clone(&sessions),
        site_name,
        Arc::clone(&audit),
    )
    .with_factors(factors)
    .with_federation(federation);
    let WayOut { mailer, outbox } = WayOut::choose(&config, mailer).map_err(StartError::Mail)?;
    let mail = mailer.map(|mailer| {
        let letters = Arc::new(Letters::new(&pages, &config.site_name, &config.url));
        Office::new(letters, mailer, Arc::clone(&clock))
    });
    let mailing = mail.as_ref().map(|office| Mailing {
        queue: office.queue(),
        rules: config.email.clone(),
        url: config.url.clone(),
        clock: Arc::clone(&clock),
    });
    let sign_in = sign_in.with_mailing(mailing);
    let auth = Auth {
        redirects: Redirects::new(&config.url.origin, &config.allowed_origins),
        csrf: Csrf::new(secrets.clone()),
        secrets,
        cookies,
        sessions: Arc::clone(&sessions),
        clock: Arc::clone(&clock),
        route_audit: Audit::default(),
        sign_in: Some(sign_in),
        config,
    };
    let tasks = std::sync::Mutex::default();
    let background = Background {
        store,
        sessions,
        revocations,
        limits: owing,
        clock,
        audit,
        metrics: std::sync::Mutex::new(metrics),
        mail,
        resealing,
        tasks,
        stopping: background::Stopping::default(),
    };
    Ok(Started { auth, pages, background, outbox })
}

/// Listens for whoever scrapes, and starts counting.
fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = metrics::bind(address).map_err(|error| StartError::Metrics(address, error))?;
    metrics::switch_on();
    Ok(listener)
}

fn credentials(
    store: &Arc<dyn Store>,
    rules: &CredentialsConfig,
) -> Result<(Credentials, CredentialsConfig), HashError> {
    Ok((Credentials::new(Arc::clone(store), Hasher::new(rules)?), rules.clone()))
}

/// Mounts the routes at the base path, and our catchers where the host has none of its own.
pub(crate) fn mount(rocket: Rocket<Build>, started: Started) -> Rocket<Build> {
    let own: Vec<u16> = rocket
        .catchers()
        .filter(|catcher| catcher.base.path() == "/")
        .filter_map(|catcher| catcher.code)
        .collect();
    let missing = routes::catchers()
        .into_iter()
        .filter(|catcher| catcher.code.is_some_and(|code| !own.contains(&code)));
    let missing: Vec<_> = missing.collect();
    let base = started.auth.config.url.base_path.clone();
    let base = if base.is_empty() { "/".to_owned() } else { base };
    let rocket = match started.outbox {
        Some(outbox) => rocket.mount(base.clone(), routes::outbox_routes()).manage(outbox),
        None => rocket,
    };
    rocket
        .mount(base, routes::routes())
        .register("/", missing)
        .manage(started.auth)
        .manage(started.pages)
        .manage(started.background)
}
