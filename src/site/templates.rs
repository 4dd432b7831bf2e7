//! The site's templates: embedded, so that one binary runs anywhere, and overridden by files of the same name.

use include_dir::{Dir, include_dir};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/site");

/// Names (`site/home`) and texts.
pub(crate) fn embedded() -> Vec<(String, String)> {
    let named = EMBEDDED.files().filter_map(|file| {
        let stem = file.path().to_str()?.strip_suffix(".html")?;
        Some((format!("site/{stem}"), file.contents_utf8()?.to_owned()))
    });
    named.collect()
}
