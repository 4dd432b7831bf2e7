//! Tokens: NextAuth's own vectors, hostile headers, Wycheproof, and properties.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod chunking;
mod corpus;
mod keys;
mod properties;
mod vectors;
mod wycheproof;

#[path = "../support/data.rs"]
mod data;

use countersign::secret::{Secret, SecretRing};
use countersign::token::{Codec, CodecOptions, Format};
use serde_json::Value;

pub(crate) const ALL: [Format; 4] =
    [Format::NextAuthV3, Format::NextAuthV3Encrypted, Format::NextAuthV4, Format::AuthJsV5];

/// A codec for one format with these secrets, newest first.
pub(crate) fn codec(format: Format, secrets: &[&str], secure: bool, max_age: i64) -> Codec {
    let (current, previous) = secrets.split_first().unwrap();
    let previous = previous.iter().map(|text| Secret::new(*text)).collect();
    let secrets = SecretRing::new(Secret::new(*current), previous);
    Codec::new(CodecOptions { secrets: &secrets, mint: format, accept: &[], secure_cookies: secure, max_age })
}

/// Bytes written as hexadecimal digits.
pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[path = "../support/document.rs"]
mod document;
