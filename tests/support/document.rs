//! Documents that tests generate, so that they cannot drift.

use std::path::Path;

/// Compares a generated document with the one in `docs/`; with `UPDATE_DOCS=1` writes it.
pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is not what the program does: run the tests with UPDATE_DOCS=1 and review it"
    );
}
