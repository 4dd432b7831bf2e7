//! What goes on besides the requests.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocket::tokio::{self, sync::Notify, task::JoinHandle};
use rocket::{Ignite, Orbit, Rocket};

use crate::audit::AuditLog;
use crate::clock::{Clock, Timestamp};
use crate::mail::Office;
use crate::metrics;
use crate::session::{REFRESH_EVERY, RevocationList, Sessions};
use crate::signin::{Limits, Resealing};
use crate::store::{self, Store, in_batches};

/// How often expired rows are looked for.
const CLEAN_EVERY: Duration = Duration::from_mins(1);
/// How often what is owed to whoever did nothing wrong is taken back.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// How long a refusal waits to be written, together with others.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// When they are looked for first: a process that is restarted again and again cleans up, too.
const CLEAN_FIRST: Duration = Duration::from_secs(5);
/// How long to wait before listening again, at first and at most.
const LISTEN_AGAIN: Duration = Duration::from_millis(50);
const LISTEN_AGAIN_AT_MOST: Duration = Duration::from_secs(1);
/// Expired rows are kept for a day: a clock that was wrong and is set back must not have destroyed anything.
const KEEP_EXPIRED: i64 = 24 * 60 * 60;

/// What runs besides the requests.
pub(crate) struct Background {
    pub(super) store: Arc<dyn Store>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) revocations: Arc<RevocationList>,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) metrics: std::sync::Mutex<Option<TcpListener>>,
    pub(super) mail: Option<Office>,
    pub(super) resealing: Resealing,
    pub(super) tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    pub(super) stopping: Stopping,
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

/// Starts what runs in the background.
pub(crate) fn spawn_background(rocket: &Rocket<Orbit>) {
    let Some(background) = rocket.state::<Background>() else {
        return;
    };
    let heard = Arc::new(Notify::new());
    let listen = tokio::spawn(listen_for_revocations(
        Arc::clone(&background.store),
        Arc::clone(&background.revocations),
        Arc::clone(&heard),
    ));
    let follow = tokio::spawn(follow_revocations(Arc::clone(&background.sessions), heard));
    let settle = tokio::spawn(settle(background.limits.clone()));
    let clean = tokio::spawn(clean_up(
        Arc::clone(&background.store),
        Arc::clone(&background.revocations),
        Arc::clone(&background.clock),
    ));
    if let Some(mail) = &background.mail {
        mail.open();
    }
    if let Ok(mut tasks) = background.tasks.lock() {
        let reseal = tokio::spawn(background.resealing.clone().follow());
        tasks.extend([listen, follow, settle, clean, reseal]);
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

/// Listens for what other processes revoke, again and again. While nobody can be heard the list is deaf: guards ask the
/// store, and believe nothing they remember.
async fn listen_for_revocations(store: Arc<dyn Store>, list: Arc<RevocationList>, heard: Arc<Notify>) {
    let mut pause = LISTEN_AGAIN;
    loop {
        let (since, ear) = (Instant::now(), Notify::new());
        let error = tokio::select! {
            error = store.listen_for_revocations(&ear) => error,
            error = pass_on(&ear, &list, &heard) => error,
        };
        list.go_deaf();
        if since.elapsed() > LISTEN_AGAIN_AT_MOST {
            pause = LISTEN_AGAIN;
        }
        tracing::warn!(%error, "revocations are not heard of: every guard asks the database");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LISTEN_AGAIN_AT_MOST);
    }
}

/// Passes on what is heard, for ever. The first word says that listening has begun.
async fn pass_on(ear: &Notify, list: &RevocationList, heard: &Notify) -> store::Error {
    ear.notified().await;
    list.hear_since(Instant::now());
    loop {
        heard.notify_one();
        ear.notified().await;
    }
}

/// Learns what other processes revoked: at once when it is heard of, and every [`REFRESH_EVERY`] besides. A store that is
/// down is asked again and again: the list goes stale meanwhile, and guards say "unknown".
async fn follow_revocations(sessions: Arc<Sessions>, heard: Arc<Notify>) {
    let mut was_down = false;
    loop {
        tokio::time::timeout(REFRESH_EVERY, heard.notified()).await.ok();
        let outcome = sessions.refresh_revocations().await;
        match &outcome {
            Err(error) if !was_down => tracing::error!(%error, "revocations cannot be followed"),
            Ok(()) if was_down => tracing::info!("revocations are followed again"),
            _ => {}
        }
        was_down = outcome.is_err();
    }
}

/// Settles what is owed from an outage, at most [`SETTLE_EVERY`] after the store answers again. Apart from the list: to
/// settle is to write, and a disk that is slow to write must not make guards say "unknown".
async fn settle(limits: Limits) {
    let mut was_down = false;
    loop {
        tokio::time::sleep(SETTLE_EVERY).await;
        let outcome = limits.settle().await;
        if let Err(error) = &outcome
            && !was_down
        {
            tracing::warn!(%error, "attempts cannot be taken back yet");
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
    in_batches(|limit| store.delete_expired_sessions(before, limit)).await?;
    in_batches(|limit| store.delete_expired_revocations(before, limit)).await?;
    in_batches(|limit| store.delete_ended_attempts(before, limit)).await?;
    in_batches(|limit| store.delete_expired_access_tokens(before, limit)).await?;
    in_batches(|limit| store.delete_spent(before, limit)).await?;
    in_batches(|limit| store.delete_expired_verifications(before, limit)).await
}
