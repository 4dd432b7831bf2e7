//! The embedded database's file and its migrations.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;

use super::{Error, errors};

/// Makes the file for its owner only: it holds hashes of passwords.
pub(super) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    // A host that uses sqlx too has `_sqlx_migrations` for itself.
    migrator.dangerous_set_table_name("_countersign_migrations");
    // Steps we do not know are judged afterwards, by the look at the schema.
    migrator.set_ignore_missing(true);
    migrator
}

/// The version of the schema this program needs.
pub(super) fn newest_migration() -> i64 {
    migrator().iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Migrates, again when another process was migrating the same file at the same moment: a step is applied whole or not
/// at all, and one that the other applied is skipped.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), Error> {
    const TRIES: u32 = 20;
    for attempt in 1.. {
        match migrator().run(pool).await.map_err(|error| errors::migration(error, newest_migration())) {
            Err(Error::Unavailable(_)) if attempt < TRIES => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            settled => return settled,
        }
    }
    Ok(())
}
