//! Putting the service together, and what goes on in the background.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocket::tokio::{self, sync::Notify, task::JoinHandle};
use rocket::{Build, Ignite, Orbit, Rocket};

use crate::audit::AuditLog;
use crate::clock::{Clock, Timestamp};
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
use crate::session::{CookieRules, Csrf, REFRESH_EVERY, RevocationList, Sessions};
use crate::signin::{Hooks, Limits, Mailing, Redirects, SecondFactors, SignIn};
use crate::store::{self, Store};

/// How often expired rows are looked for.
const CLEAN_EVERY: Duration = Duration::from_mins(1);
/// How long a refusal waits to be written, together with others.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// When they are looked for first: a process that is restarted again and again cleans up, too.
const CLEAN_FIRST: Duration = Duration::from_secs(5);
/// Rows deleted by one statement, so that nobody waits long for the one writer.
const CLEAN_BATCH: u32 = 500;
/// How long to wait before listening again, at first and at most.
const LISTEN_AGAIN: Duration = Duration::from_millis(50);
const LISTEN_AGAIN_AT_MOST: Duration = Duration::from_secs(1);
/// Expired rows are kept for a day: a clock that was wrong and is set back must not have destroyed anything.
const KEEP_EXPIRED: i64 = 24 * 60 * 60;

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

/// What runs besides the requests.
pub(crate) struct Background {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    revocations: Arc<RevocationList>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    audit: Arc<AuditLog>,
    metrics: std::sync::Mutex<Option<TcpListener>>,
    mail: Option<Office>,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    stopping: Stopping,
}

/// Whether the process was told to stop; its clones share the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// From now on it is.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Background {
    pub(crate) fn stopping(&self) -> Stopping {
        self.stopping.clone()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Whether the process was told to stop: it answers what has begun, and wants nothing new.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.0.load(Ordering::Relaxed)
    }
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
    let cookies = CookieRules::new(config.jwt.format, config.url.secure);
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
        tasks,
        stopping: Stopping::default(),
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

/// Starts what runs in the background.
pub(crate) fn spawn_background(rocket: &Rocket<Orbit>) {
    let Some(background) = rocket.state::<Background>() else {
        return;
    };
    let heard = Arc::new(Notify::new());
    let listen = tokio::spawn(listen_for_revocations(Arc::clone(&background.store), Arc::clone(&heard)));
    let (sessions, limits) = (Arc::clone(&background.sessions), background.limits.clone());
    let follow = tokio::spawn(follow_revocations(sessions, limits, heard));
    let clean = tokio::spawn(clean_up(
        Arc::clone(&background.store),
        Arc::clone(&background.revocations),
        Arc::clone(&background.clock),
    ));
    if let Some(mail) = &background.mail {
        mail.open();
    }
    if let Ok(mut tasks) = background.tasks.lock() {
        tasks.extend([listen, follow, clean]);
        tasks.extend(watch(background));
    }
}

/// Turns readiness and stops the background. The store stays open: requests that have begun still need it.
pub(crate) fn shut_down(rocket: &Rocket<Orbit>) {
    let Some(background) = rocket.state::<Background>() else {
        return;
    };
    background.stopping.begin();
    let tasks = background.tasks.lock().map(|mut tasks| std::mem::take(&mut *tasks)).unwrap_or_default();
    for task in tasks {
        task.abort();
    }
}

/// Closes the store of a rocket that has landed, waiting for what it is still writing. A program that ends without
/// loses nothing that was answered; an embedded database is left tidier.
pub async fn close(rocket: &Rocket<Ignite>) {
    if let Some(background) = rocket.state::<Background>() {
        if let Some(mail) = &background.mail {
            mail.close().await;
        }
        if let Err(error) = background.audit.flush_all().await {
            tracing::error!(%error, "the last refusals could not be recorded");
        }
        background.store.close().await;
    }
}

/// Listens for what other processes revoke, again and again. While nobody can be heard the store is asked every
/// [`REFRESH_EVERY`] as always, so nothing is lost but the moment.
async fn listen_for_revocations(store: Arc<dyn Store>, heard: Arc<Notify>) {
    let mut pause = LISTEN_AGAIN;
    loop {
        let since = Instant::now();
        let error = store.listen_for_revocations(&heard).await;
        if since.elapsed() > LISTEN_AGAIN_AT_MOST {
            pause = LISTEN_AGAIN;
        }
        tracing::warn!(%error, "revocations are not heard at once, only asked for");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LISTEN_AGAIN_AT_MOST);
    }
}

/// Learns what other processes revoked: at once when it is heard of, and every [`REFRESH_EVERY`] besides. A store that is
/// down is asked again and again: the list goes stale meanwhile, and guards say "unknown".
/// What is owed from an outage is settled as soon as the store answers again.
async fn follow_revocations(sessions: Arc<Sessions>, limits: Limits, heard: Arc<Notify>) {
    let mut was_down = false;
    loop {
        tokio::time::timeout(REFRESH_EVERY, heard.notified()).await.ok();
        let outcome = match sessions.refresh_revocations().await {
            Ok(()) => limits.settle().await,
            Err(error) => Err(error),
        };
        match &outcome {
            Err(error) if !was_down => tracing::error!(%error, "revocations cannot be followed"),
            Ok(()) if was_down => tracing::info!("revocations are followed again"),
            _ => {}
        }
        was_down = outcome.is_err();
    }
}

/// What is recorded and counted: refusals are written, old records deleted, and whoever scrapes is answered.
fn watch(background: &Background) -> Vec<JoinHandle<()>> {
    let audit = tokio::spawn(keep_audit(Arc::clone(&background.audit)));
    let listener = background.metrics.lock().ok().and_then(|mut listener| listener.take());
    let metrics = listener.map(|listener| tokio::spawn(metrics::serve(listener)));
    [audit].into_iter().chain(metrics).collect()
}

/// Writes the refusals of the last moment; while the store is away they wait, as many as are kept. Deletes records that
/// are old enough.
async fn keep_audit(audit: Arc<AuditLog>) {
    let (mut was_down, mut pruned) = (false, Instant::now());
    loop {
        tokio::time::sleep(WRITE_EVERY).await;
        let outcome = audit.flush().await;
        if let Err(error) = &outcome
            && !was_down
        {
            tracing::error!(%error, "refusals cannot be recorded");
        }
        was_down = outcome.is_err();
        if pruned.elapsed() >= CLEAN_EVERY {
            pruned = Instant::now();
            if let Err(error) = audit.prune().await {
                tracing::warn!(%error, "old audit records could not be deleted");
            }
        }
    }
}

/// Deletes what expired, in bounded batches. It runs on every instance without harm, and survives every failure.
async fn clean_up(store: Arc<dyn Store>, revocations: Arc<RevocationList>, clock: Arc<dyn Clock>) {
    let mut pause = CLEAN_FIRST;
    loop {
        tokio::time::sleep(pause).await;
        pause = CLEAN_EVERY;
        let before = clock.now().plus(-KEEP_EXPIRED);
        revocations.forget_expired(before);
        if let Err(error) = clean_once(&*store, before).await {
            tracing::warn!(%error, "expired rows could not be deleted");
        }
    }
}

/// Deletes everything that expired before `before`, batch by batch.
///
/// # Errors
/// [`store::Error`]; what was deleted stays deleted.
pub async fn clean_once(store: &dyn Store, before: Timestamp) -> Result<(), store::Error> {
    while store.delete_expired_sessions(before, CLEAN_BATCH).await? == u64::from(CLEAN_BATCH) {
        tokio::task::yield_now().await;
    }
    while store.delete_expired_revocations(before, CLEAN_BATCH).await? == u64::from(CLEAN_BATCH) {
        tokio::task::yield_now().await;
    }
    while store.delete_ended_attempts(before, CLEAN_BATCH).await? == u64::from(CLEAN_BATCH) {
        tokio::task::yield_now().await;
    }
    while store.delete_expired_access_tokens(before, CLEAN_BATCH).await? == u64::from(CLEAN_BATCH) {
        tokio::task::yield_now().await;
    }
    while store.delete_spent(before, CLEAN_BATCH).await? == u64::from(CLEAN_BATCH) {
        tokio::task::yield_now().await;
    }
    while store.delete_expired_verifications(before, CLEAN_BATCH).await? == u64::from(CLEAN_BATCH) {
        tokio::task::yield_now().await;
    }
    Ok(())
}
