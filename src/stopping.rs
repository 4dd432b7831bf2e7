//! Stopping behind a load balancer: not ready first, closed later.
//!
//! Rocket stops accepting connections at the signal itself. A balancer that asks `/readyz` every few seconds would send
//! people to a closed port until it has noticed. With `shutdown_delay` the signal is ours first: from then on `/readyz`
//! says `stopping` while everything is still answered, and only after the delay is Rocket told to shut down, which lets
//! requests in flight end within its own `shutdown.grace` and `shutdown.mercy`. A second signal ends the delay.

use std::time::Duration;

use rocket::config::Shutdown as ShutdownConfig;
use rocket::{Build, Orbit, Rocket};
use tokio::time::sleep;

use crate::server::Background;

/// What Rocket was configured to listen for, now listened for by us.
struct Taken {
    config: ShutdownConfig,
    delay: Duration,
}

/// Takes Rocket's signals over, when there is a delay.
pub(crate) fn take_signals(rocket: Rocket<Build>, delay: Duration) -> Rocket<Build> {
    if delay.is_zero() {
        return rocket;
    }
    let config = rocket.figment().extract_inner("shutdown").unwrap_or_default();
    let figment = rocket.figment().clone();
    let figment = figment.merge(("shutdown.ctrlc", false)).merge(("shutdown.signals", Vec::<String>::new()));
    rocket.configure(figment).manage(Taken { config, delay })
}

/// Waits for a signal from now on, if they were taken over.
pub(crate) fn spawn(rocket: &Rocket<Orbit>) {
    let (Some(taken), Some(background)) = (rocket.state::<Taken>(), rocket.state::<Background>()) else {
        return;
    };
    let mut signals = match Signals::listen(&taken.config) {
        Ok(signals) => signals,
        Err(error) => return tracing::error!(%error, "signals cannot be listened for"),
    };
    let (delay, stopping, shutdown) = (taken.delay, background.stopping(), rocket.shutdown());
    tokio::spawn(async move {
        signals.next().await;
        stopping.begin();
        tracing::info!(
            seconds = delay.as_secs(),
            "told to stop: not ready from now on, closing after a delay"
        );
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.next() => tracing::info!("told to stop again: closing now"),
        }
        shutdown.notify();
    });
}

/// The signals that stop the process.
#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn listen(config: &ShutdownConfig) -> std::io::Result<Self> {
        use rocket::config::Sig;
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = config.ctrlc.then_some(Sig::Int);
        let wanted = config.signals.iter().copied().chain(interrupt).map(|wanted| match wanted {
            Sig::Alrm => SignalKind::alarm(),
            Sig::Chld => SignalKind::child(),
            Sig::Hup => SignalKind::hangup(),
            Sig::Int => SignalKind::interrupt(),
            Sig::Io => SignalKind::io(),
            Sig::Pipe => SignalKind::pipe(),
            Sig::Quit => SignalKind::quit(),
            Sig::Term => SignalKind::terminate(),
            Sig::Usr1 => SignalKind::user_defined1(),
            Sig::Usr2 => SignalKind::user_defined2(),
        });
        wanted.map(signal).collect::<std::io::Result<_>>().map(Self)
    }

    /// The next one, whichever it is.
    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let arrived = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if arrived { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

/// Elsewhere there is Ctrl-C alone.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen(_: &ShutdownConfig) -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
