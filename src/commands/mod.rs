//! The commands of the `countersign` program.

mod audit;
mod check;
mod migrate;
mod reload;
mod reseal;
mod routes;
mod serve;
mod users;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign::config::Config;
use countersign::secret::Secret;

use crate::site;

/// Sign-in, sessions and guarded routes for Rocket.
///
/// Configured by Rocket.toml in the current folder, table [default.auth], and by COUNTERSIGN_* environment variables.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about)]
pub(crate) struct Cli {
    /// What to do; without one, `serve`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Default, Subcommand)]
pub(crate) enum Command {
    /// Start the service (the default).
    #[default]
    Serve,
    /// Bring the database's schema up to this version, and stop; with --from, move a database of SQLite to PostgreSQL.
    Migrate(migrate::MigrateOptions),
    /// Print a fresh secret, fit for `secret` in Rocket.toml.
    Secret,
    /// Seal what is stored anew by the first secret of the list, so that the older ones can leave.
    Reseal,
    /// Add, list, disable or enable users.
    #[command(subcommand)]
    User(users::UserCommand),
    /// List or verify the audit log.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check configuration and database, and explain every problem and its fix.
    Check,
    /// List method, path and guard policy of every mounted route.
    Routes,
}

/// Runs a command.
pub(crate) async fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Serve => return serve::run().await,
        Command::Migrate(options) => migrate::run(options).await,
        Command::Secret => secret(),
        Command::Reseal => reseal::run().await,
        Command::User(command) => users::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Check => return check::run().await,
        Command::Routes => routes::run().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&problem),
    }
}

/// Says what went wrong, on the error stream, and gives the exit code for it.
#[expect(clippy::print_stderr, reason = "a command's own message to the person at the terminal")]
pub(crate) fn fail(problem: &str) -> ExitCode {
    eprintln!("countersign: {problem}");
    ExitCode::FAILURE
}

/// Says something, on the output stream.
#[expect(clippy::print_stdout, reason = "a command's own output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Logs as `COUNTERSIGN_LOG` says (`info`, `countersign=debug`); JSON lines with `COUNTERSIGN_LOG_FORMAT=json`.
pub(crate) fn init_logging() {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("countersign=info"));
    // Colours are for a person at a terminal: a file gets no escape codes.
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if std::env::var("COUNTERSIGN_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
        std::panic::set_hook(Box::new(log_panic));
    } else {
        builder.init();
    }
}

/// A panic as one line of the log. What it says is left out: it may be made of anything.
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    tracing::error!(place, "a panic");
}

/// The checked configuration, or all that is wrong with it.
fn config() -> Result<Config, String> {
    site::config(&site::figment()).map_err(|errors| format!("the configuration has errors\n{errors}"))
}

fn secret() -> Result<(), String> {
    let secret = Secret::generate().map_err(|error| error.to_string())?;
    say(secret.expose());
    Ok(())
}
