//! A folder that goes when the test ends.

use std::path::{Path, PathBuf};

use crate::secret::{hex, random_bytes};

/// A folder of a test's own.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one where the system keeps what is temporary. Its name cannot be guessed and must be new.
    pub(super) fn new() -> Self {
        let name = random_bytes::<16>().map(|bytes| format!("countersign-test-{}", hex(&bytes)));
        let path = std::env::temp_dir().join(name.unwrap_or_else(|error| panic!("{error}")));
        if let Err(error) = std::fs::create_dir(&path) {
            panic!("the folder {} cannot be made: {error}", path.display());
        }
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // On a system that keeps open files from being deleted, what is left is left to the system.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
