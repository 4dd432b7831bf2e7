//! `countersign migrate`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use countersign::server::open_store;
use countersign::store::{Database, Progress, move_to_postgres};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{config, say};

/// Lines of progress come at most this often where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What to migrate.
#[derive(Debug, Args)]
pub(crate) struct MigrateOptions {
    /// Move everything from this database: sqlite://path. A service may go on using it; what it writes meanwhile is left
    /// behind.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// To this empty database: postgres://user:password@host/database. Without it, to the configured one.
    #[arg(long, value_name = "URL", requires = "from")]
    to: Option<String>,
}

/// Brings the schema up to date, or moves a database.
pub(super) async fn run(options: MigrateOptions) -> Result<(), String> {
    match options.from {
        Some(from) => move_database(&from, options.to).await,
        None => migrate().await,
    }
}

async fn migrate() -> Result<(), String> {
    let config = config()?;
    let store = open_store(&config).await.map_err(|error| error.to_string())?;
    store.migrate().await.map_err(|error| error.to_string())?;
    store.close().await;
    say("The database is up to date.");
    Ok(())
}

async fn move_database(from: &str, to: Option<String>) -> Result<(), String> {
    let path = from.strip_prefix("sqlite://").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path =
        path.ok_or("--from takes sqlite://path; databases are moved from SQLite to PostgreSQL only")?;
    let to = match to {
        Some(to) => to,
        None => configured()?,
    };
    if !to.starts_with("postgres://") && !to.starts_with("postgresql://") {
        return Err("--to takes postgres://user:password@host/database".to_owned());
    }
    let mut display = Display::new();
    let outcome = move_to_postgres(&path, &to, &mut |progress| display.tell(progress)).await;
    display.bar.finish_and_clear();
    let moved = outcome.map_err(|error| format!("nothing was moved: {error}"))?;
    let (rows, tables) = (moved.rows, moved.tables);
    if moved.was_done {
        say(&format!(
            "This database was moved already ({rows} rows); what was written to it since is not there."
        ));
    } else {
        let brought = display.was_there;
        let earlier =
            if brought > 0 { format!(", {brought} of them by an earlier run") } else { String::new() };
        say(&format!(
            "Moved {rows} rows of {tables} tables{earlier}. Now set `database_url` and start the service."
        ));
    }
    Ok(())
}

fn configured() -> Result<String, String> {
    match config()?.database.database {
        Database::Postgres(url) => Ok(url),
        Database::Sqlite(_) => Err("say where to by --to, or configure database_url".to_owned()),
    }
}

/// A bar on a terminal, lines elsewhere.
struct Display {
    bar: ProgressBar,
    last_line: Instant,
    was_there: u64,
}

impl Display {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(None, target), last_line: Instant::now(), was_there: 0 }
    }

    fn tell(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Begun { rows } => {
                if let Ok(style) =
                    ProgressStyle::with_template("{msg:16} {wide_bar} {pos}/{len} rows, {eta} left")
                {
                    self.bar.set_style(style);
                }
                self.bar.set_length(rows);
                self.line(&format!("Copying {rows} rows."), true);
            }
            Progress::Copied { table, rows, was_there } => {
                self.bar.set_message(table.to_owned());
                self.bar.inc(rows);
                if was_there {
                    self.was_there += rows;
                }
                let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
                self.line(&format!("{done} of {all} rows ({table})"), false);
            }
            Progress::Placing => {
                self.bar.set_message("putting into place");
                // The last that is drawn for a while: not to be left out because something else was drawn just now.
                self.bar.force_draw();
                self.line("Putting everything into place.", true);
            }
        }
    }

    fn line(&mut self, text: &str, always: bool) {
        if self.bar.is_hidden() && (always || self.last_line.elapsed() >= LINE_EVERY) {
            self.last_line = Instant::now();
            say(text);
        }
    }
}
