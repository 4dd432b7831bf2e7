//! The signing secrets.
//!
//! Outside the debug profile there must be one, of 32 bytes or more, that stands in no documentation. In the debug
//! profile one is generated once into the database's folder (readable by its owner only), so that sessions survive a
//! restart and a fresh clone just works.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use figment::value::Value;

use super::read::Reader;
use crate::secret::{Secret, SecretRing};

/// The shortest secret, in bytes.
const MIN_BYTES: usize = 32;

/// Secrets that stand in documentation, ours and NextAuth's: whoever copies one shares it with the world.
const DOCUMENTED: [&str; 4] = [
    "replace-this-with-the-output-of-countersign-secret",
    "a secret of at least thirty-two characters",
    "this-is-a-secret-value-with-at-least-32-characters",
    "change-me-change-me-change-me-change-me",
];

/// Reads `secret`. `folder` is where a debug build keeps one of its own; `None` in every other profile.
pub(super) fn read(reader: &mut Reader<'_>, folder: Option<&Path>) -> Option<SecretRing> {
    let texts = match reader.value("secret") {
        None => return generated(reader, folder),
        Some(Value::String(_, text)) => vec![text],
        Some(Value::Array(_, items)) => {
            let texts: Vec<String> =
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
            if texts.len() != items.len() || texts.is_empty() {
                reader.wrong("secret", "a list that holds something else or nothing", "a list of texts");
                return None;
            }
            texts
        }
        Some(_) => {
            reader.wrong("secret", "no text", "a text in quotes, or a list of texts");
            return None;
        }
    };
    for text in &texts {
        if text.len() < MIN_BYTES {
            let found = format!("a text of {} bytes", text.len());
            reader.wrong(
                "secret",
                found,
                format!("{MIN_BYTES} bytes or more; `countersign secret` prints one"),
            );
        } else if DOCUMENTED.contains(&text.as_str()) {
            reader.wrong(
                "secret",
                "an example from the documentation",
                "your own; `countersign secret` prints one",
            );
        }
    }
    let mut secrets = texts.into_iter().map(Secret::new);
    secrets.next().map(|current| SecretRing::new(current, secrets.collect()))
}

fn generated(reader: &mut Reader<'_>, folder: Option<&Path>) -> Option<SecretRing> {
    let Some(folder) = folder else {
        reader.wrong("secret", "missing", "a text of 32 bytes or more; `countersign secret` prints one");
        return None;
    };
    match load_or_create(folder) {
        Ok(secret) => Some(SecretRing::new(secret, Vec::new())),
        Err(error) => {
            let expected =
                format!("a text, or a folder {} to keep a generated one in ({error})", folder.display());
            reader.wrong("secret", "missing", expected);
            None
        }
    }
}

/// The development secret of a folder, made when there is none. Of two processes that start at once, both use the one
/// that was first.
fn load_or_create(folder: &Path) -> io::Result<Secret> {
    let path = folder.join("development-secret");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= MIN_BYTES => return Ok(Secret::new(text.trim())),
        Ok(_) => {
            return Err(io::Error::other(format!("{} is damaged: delete it", path.display())));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(folder)?;
    let secret = Secret::generate().map_err(io::Error::other)?;
    let draft = folder.join(format!("development-secret.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(secret.expose().as_bytes())?;
        file.sync_all()
    });
    // A hard link appears whole or not at all, and never replaces one that is there.
    let linked = written.and_then(|()| fs::hard_link(&draft, &path));
    fs::remove_file(&draft).ok();
    match linked {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::read_to_string(&path).map(|text| Secret::new(text.trim()))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_secret_is_made_once_and_for_its_owner() {
        let folder = tempfile::TempDir::new().unwrap();
        let first = load_or_create(&folder.path().join("data")).unwrap();
        let second = load_or_create(&folder.path().join("data")).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert!(first.expose().len() >= MIN_BYTES);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                fs::metadata(folder.path().join("data/development-secret")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
