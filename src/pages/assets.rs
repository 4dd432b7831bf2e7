//! Styles and scripts, served from memory.
//!
//! The URL holds a hash of the content, so browsers keep an asset for a year and never see a stale one.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::secret::hex;

/// One embedded file.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The name in the URL, with the hash: `countersign-0123456789ab.css`.
    pub name: String,
    /// `text/css` or `text/javascript`, with the charset.
    pub content_type: &'static str,
    /// The content.
    pub body: &'static str,
}

/// The library's assets.
#[derive(Debug, Clone)]
pub struct Assets {
    css: Asset,
    js: Asset,
    passkeys: Asset,
}

/// The assets' URLs, for templates.
#[derive(Debug, Clone, Serialize)]
pub struct AssetUrls {
    css: String,
    js: String,
    passkeys: String,
}

impl Assets {
    /// The embedded ones.
    #[must_use]
    pub fn embedded() -> Self {
        let asset = |stem: &str, extension: &str, content_type, body: &'static str| {
            let hash = hex(&Sha256::digest(body));
            let hash = hash.get(..12).unwrap_or_default();
            Asset { name: format!("{stem}-{hash}.{extension}"), content_type, body }
        };
        Self {
            css: asset(
                "countersign",
                "css",
                "text/css; charset=utf-8",
                include_str!("../../static/countersign.css"),
            ),
            js: asset(
                "countersign",
                "js",
                "text/javascript; charset=utf-8",
                include_str!("../../static/countersign.js"),
            ),
            passkeys: asset(
                "passkeys",
                "js",
                "text/javascript; charset=utf-8",
                include_str!("../../static/passkeys.js"),
            ),
        }
    }

    /// The asset of this name. The plain name, without the hash, finds it too: for scripts that import it by hand.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Asset> {
        match name {
            "countersign.css" => Some(&self.css),
            "countersign.js" => Some(&self.js),
            _ => [&self.css, &self.js, &self.passkeys].into_iter().find(|asset| asset.name == name),
        }
    }

    /// Where they are, below `base`.
    #[must_use]
    pub fn urls(&self, base: &str) -> AssetUrls {
        AssetUrls {
            css: format!("{base}/assets/{}", self.css.name),
            js: format!("{base}/assets/{}", self.js.name),
            passkeys: format!("{base}/assets/{}", self.passkeys.name),
        }
    }
}
