//! Hearing of revocations at once, over a connection of its own.
//!
//! `LISTEN` needs a connection that stays, so it is none of the pool's: a busy pool does not delay what is heard, and
//! what is heard takes nothing from the pool. A connection that died without a word (a machine that hangs, a firewall that
//! forgot) is found out by a question after a while of silence.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::Notify;

use crate::store::{Error, sql};

/// What [`super::revocations::NEXT_SEQUENCE`] notifies.
const CHANNEL: &str = "countersign_revocations";

/// By this name an administrator knows the connection in `pg_stat_activity`.
const APPLICATION_NAME: &str = "countersign listener";

/// After so long a silence the connection is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(10);

/// Listens until the connection is lost.
pub(super) async fn listen(
    options: &PgConnectOptions,
    timeout: Duration,
    heard: &Notify,
) -> Result<Infallible, Error> {
    let late = |_| Error::Unavailable("no answer in time".to_owned());
    let mut listener = tokio::time::timeout(timeout, connect(options)).await.map_err(late)??;
    // What was revoked before this moment was told to nobody here.
    heard.notify_one();
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => heard.notify_one(),
            Ok(Ok(None)) => return Err(Error::Unavailable("the listening connection was closed".to_owned())),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                let asked = sqlx::query(sql::PING).execute(&mut listener);
                tokio::time::timeout(timeout, asked).await.map_err(late)??;
            }
        }
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgListener, Error> {
    let options = options.clone().application_name(APPLICATION_NAME);
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let mut listener = PgListener::connect_with(&pool.connect_with(options).await?).await?;
    // Lost is lost: whoever listens must ask for what it missed.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
