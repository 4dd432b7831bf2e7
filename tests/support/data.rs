//! Vectors and hostile inputs, as data.

use std::path::Path;

/// Reads a file of `vectors` or `corpus`: the project's shared copy when it stands beside the checkout, else ours.
pub(crate) fn read(folder: &str, name: &str) -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = root.join("../shared").join(folder).join(name);
    let own = root.join("tests").join(folder).join(name);
    let path = if shared.exists() { shared } else { own };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a generated document with the one in `docs/`; with `UPDATE_DOCS=1` writes it.
pub(crate) fn compare_document(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/{name} is not what the program does: run the tests with UPDATE_DOCS=1 and review it");
}
