//! `countersign serve`.

use std::process::ExitCode;

use countersign::guards::Auth;
use rocket::error::ErrorKind;
use rocket::{Ignite, Rocket};

use super::{config, fail, reload};
use crate::site;

/// Serves until it is told to stop.
pub(super) async fn run() -> ExitCode {
    if let Err(problem) = config() {
        return fail(&problem);
    }
    match launch().await {
        Ok(landed) => {
            countersign::server::close(&landed).await;
            ExitCode::SUCCESS
        }
        Err(error) => fail(&explain(error.kind())),
    }
}

async fn launch() -> Result<Rocket<Ignite>, rocket::Error> {
    let figment = site::figment();
    // Before anything else: unheard, the signal would end the process.
    #[cfg(unix)]
    let hangups = reload::listen();
    let rocket = site::rocket(figment.clone()).ignite().await?;
    #[cfg(unix)]
    match (rocket.state::<Auth>(), hangups) {
        (Some(auth), Ok(hangups)) => {
            rocket::tokio::spawn(reload::follow(hangups, auth.secrets.clone(), figment));
        }
        (_, Err(error)) => tracing::warn!(%error, "SIGHUP cannot be listened to"),
        (None, Ok(_)) => {}
    }
    rocket.launch().await
}

/// One line a person can act on.
fn explain(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Bind(error) => {
            let figment = site::figment();
            let port: u16 = figment.extract_inner("port").unwrap_or_default();
            let hint = if error.kind() == std::io::ErrorKind::AddrInUse {
                "another program uses it; stop that one or set another `port` in Rocket.toml"
            } else {
                "set another `address` or `port` in Rocket.toml"
            };
            format!("port {port} cannot be listened on ({error}): {hint}")
        }
        ErrorKind::FailedFairings(fairings) => {
            let names: Vec<&str> = fairings.iter().map(|fairing| fairing.name).collect();
            format!("not started; the line above says why ({})", names.join(", "))
        }
        ErrorKind::SentinelAborts(_) => "not started; the lines above say why".to_owned(),
        ErrorKind::Config(error) => format!("Rocket.toml cannot be used: {error}"),
        other => format!("not started: {other}"),
    }
}
