//! `countersign check`.

use std::process::ExitCode;

use countersign::config::{Config, MailTransport};
use countersign::mail::Smtp;
use countersign::pages::Pages;
use countersign::server::open_store;

use super::{config, fail, say};
use crate::site::templates;

/// Checks everything and reports all problems at once.
pub(super) async fn run() -> ExitCode {
    let config = match config() {
        Ok(config) => config,
        Err(problem) => return fail(&problem),
    };
    let mut problems = Vec::new();
    if let Err(error) = Pages::load(&config.template_dir, &templates::embedded()) {
        problems.push(error.to_string());
    }
    if let Err(problem) = database(&config).await {
        problems.push(problem);
    }
    if let Err(problem) = mail(&config).await {
        problems.push(problem);
    }
    if problems.is_empty() {
        say(&format!("Everything is in order. The service will answer at {}.", config.url.origin));
        return ExitCode::SUCCESS;
    }
    fail(&problems.join("\ncountersign: "))
}

/// The mail server is there, is who it says, and lets this program in.
async fn mail(config: &Config) -> Result<(), String> {
    let MailTransport::Smtp(smtp) = &config.email.transport else {
        return Ok(());
    };
    let checked = Smtp::of_site(smtp, &config.url)?.check().await;
    checked.map_err(|error| format!("mail cannot be sent by {}:{}: {error}", smtp.host, smtp.port))
}

/// The database answers and has this program's schema. An embedded one that does not exist yet is made at the start.
async fn database(config: &Config) -> Result<(), String> {
    if let countersign::store::Database::Sqlite(path) = &config.database.database
        && !path.exists()
    {
        say(&format!("The database {} does not exist yet; it will be made at the start.", path.display()));
        return Ok(());
    }
    let store = open_store(config).await.map_err(|error| error.to_string())?;
    let outcome = match store.ping().await {
        Ok(()) => store.check_schema().await,
        Err(error) => Err(error),
    };
    store.close().await;
    outcome.map_err(|error| error.to_string())
}
