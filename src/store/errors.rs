//! What went wrong in the driver, in our words.
//!
//! No message repeats a connection's URL: it may hold a password.

use sqlx::migrate::MigrateError;

use super::Error;

/// Errors of the driver. What is decoded wrongly was stored wrongly; everything else may pass.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { index, .. } => Self::Corrupt(format!("the column {index}")),
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
                Self::Corrupt("a row of another shape".to_owned())
            }
            sqlx::Error::Database(error) => {
                Self::Unavailable(format!("the database refused: {}", error.message()))
            }
            sqlx::Error::PoolTimedOut => Self::Unavailable("no connection became free in time".to_owned()),
            sqlx::Error::PoolClosed => Self::Unavailable("the store is closed".to_owned()),
            sqlx::Error::Io(error) => Self::Unavailable(format!("the connection failed: {}", error.kind())),
            sqlx::Error::Tls(_) => Self::Unavailable("the connection cannot be secured (TLS)".to_owned()),
            sqlx::Error::Configuration(_) => {
                Self::Unavailable("the connection's settings are wrong".to_owned())
            }
            _ => Self::Unavailable("the driver failed".to_owned()),
        }
    }
}

/// How a call ended, for metrics.
pub(super) fn outcome<T>(answer: &Result<T, Error>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(Error::Unavailable(_)) => "unavailable",
        Err(Error::Corrupt(_)) => "corrupt",
        Err(Error::Schema(_)) => "schema",
    }
}

/// Errors of the migrations.
pub(super) fn migration(error: MigrateError, newest_known: i64) -> Error {
    match error {
        MigrateError::VersionMissing(version) if version > newest_known => newer(version, newest_known),
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
            Error::Schema(format!(
                "the database's schema was not made by countersign as released: its step {version} differs; \
             restore a backup or use another database"
            ))
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => Error::Schema(format!("the database's schema cannot be brought up to date: {other}")),
    }
}

/// Compares the schema a database has with the one this program needs: `found` is its newest step, `beyond` are those
/// this program does not know.
///
/// One step more is allowed when its name says that it only expands (a file `0042_expand_…`): it adds tables, indices and
/// columns that may be left out, so the program of the version before goes on working while instances are replaced one by
/// one. Two steps, or one that says nothing, are refused.
pub(super) fn compare_versions(
    found: Option<i64>,
    beyond: &[(i64, String)],
    newest_known: i64,
) -> Result<(), Error> {
    match (found, beyond) {
        (None, _) => {
            Err(Error::Schema("the database has no schema yet: run `countersign migrate`".to_owned()))
        }
        (Some(_), [(_, name)]) if is_expansion(name) => Ok(()),
        (Some(found), [_, ..]) => Err(newer(found, newest_known)),
        (Some(found), []) if found >= newest_known => Ok(()),
        (Some(found), []) => Err(Error::Schema(format!(
            "the database's schema is of version {found}, this program needs {newest_known}: run `countersign migrate`"
        ))),
    }
}

/// Whether a step's name says that the program of the version before works on.
fn is_expansion(name: &str) -> bool {
    name.split(' ').next() == Some("expand")
}

fn newer(found: i64, known: i64) -> Error {
    Error::Schema(format!(
        "the database was made by a newer version of countersign (schema {found}, this program knows {known}): \
         use that version, or another database"
    ))
}
