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
