//! Languages: one file each.
//!
//! A language is a flat JSON object of texts in `templates/auth/locales/<code>.json`. English and Korean are embedded; a
//! file of the host's adds a language or changes texts of one. A text that a language lacks is shown in English.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

/// The texts of one language, by key.
type Texts = BTreeMap<String, String>;

/// A language people can choose.
#[derive(Debug, Clone, Serialize)]
pub struct Language {
    /// Its code (BCP 47): `en`, `ko`.
    pub code: String,
    /// Its own name for itself.
    pub name: String,
    /// Whether the page is in it.
    pub current: bool,
}

/// All languages.
#[derive(Debug, Clone)]
pub struct Locales {
    texts: BTreeMap<String, Arc<Texts>>,
}

/// What everybody falls back to.
const FALLBACK: &str = "en";

impl Locales {
    /// From files `(code, JSON text)`; a later file of the same code adds to and replaces texts of an earlier one.
    ///
    /// # Errors
    /// The code of a file that is no flat JSON object of texts, and why.
    pub fn parse(files: &[(String, String)]) -> Result<Self, (String, serde_json::Error)> {
        let mut texts: BTreeMap<String, Texts> = BTreeMap::new();
        for (code, json) in files {
            let read: Texts = serde_json::from_str(json).map_err(|error| (code.clone(), error))?;
            texts.entry(code.clone()).or_default().extend(read);
        }
        let fallback = texts.get(FALLBACK).cloned().unwrap_or_default();
        let complete = texts.into_iter().map(|(code, own)| {
            let mut whole = fallback.clone();
            whole.extend(own);
            (code, Arc::new(whole))
        });
        Ok(Self { texts: complete.collect() })
    }

    /// The best language for somebody who chose `chosen` (the cookie) or accepts `accept` (`Accept-Language`, RFC 9110
    /// section 12.5.4).
    #[must_use]
    pub fn negotiate(&self, chosen: Option<&str>, accept: Option<&str>) -> &str {
        chosen
            .and_then(|code| self.find(code))
            .or_else(|| accept.and_then(|header| self.by_header(header)))
            .unwrap_or(FALLBACK)
    }

    /// The code as we know it, when it is one of ours.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<&str> {
        self.texts.keys().find(|known| known.eq_ignore_ascii_case(code)).map(String::as_str)
    }

    /// The texts of a language, completed by English ones.
    #[must_use]
    pub fn texts(&self, code: &str) -> Arc<Texts> {
        self.texts.get(code).or_else(|| self.texts.get(FALLBACK)).cloned().unwrap_or_default()
    }

    /// One text; its key when there is none, so that a gap is seen and not silent.
    #[must_use]
    pub fn text(&self, code: &str, key: &str) -> String {
        self.texts(code).get(key).cloned().unwrap_or_else(|| key.to_owned())
    }

    /// The text of an error code, or the general one.
    #[must_use]
    pub fn error_text(&self, code: &str, error: &str) -> String {
        let texts = self.texts(code);
        let own = texts.get(&format!("error_{error}"));
        own.or_else(|| texts.get("error_default")).cloned().unwrap_or_default()
    }

    /// All languages, for the switch.
    #[must_use]
    pub fn list(&self, current: &str) -> Vec<Language> {
        let language = |(code, texts): (&String, &Arc<Texts>)| Language {
            code: code.clone(),
            name: texts.get("language_name").unwrap_or(code).clone(),
            current: code == current,
        };
        self.texts.iter().map(language).collect()
    }

    fn by_header(&self, header: &str) -> Option<&str> {
        let mut ranges: Vec<(&str, f32)> = header.split(',').take(32).filter_map(weighted).collect();
        // Stable: ranges of equal weight keep the order in which they were written.
        ranges.sort_by(|left, right| right.1.total_cmp(&left.1));
        ranges.into_iter().find_map(|(range, _)| {
            let primary = range.split('-').next().unwrap_or(range);
            self.find(range).or_else(|| self.find(primary))
        })
    }
}

/// A range and its weight; a weight of 0 means "not this one".
fn weighted(item: &str) -> Option<(&str, f32)> {
    let mut parts = item.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let quality =
        parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok())?;
    (quality > 0.0).then_some((range, quality))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locales() -> Locales {
        let file = |code: &str, json: &str| (code.to_owned(), json.to_owned());
        Locales::parse(&[
            file("en", r#"{"language_name":"English","a":"A","b":"B"}"#),
            file("ko", r#"{"language_name":"한국어","a":"가"}"#),
            file("ko", r#"{"b":"나"}"#),
        ])
        .unwrap()
    }

    #[test]
    fn the_choice_wins_then_the_header_then_english() {
        let locales = locales();
        assert_eq!(locales.negotiate(Some("ko"), Some("en")), "ko");
        assert_eq!(locales.negotiate(Some("xx"), Some("ko-KR,ko;q=0.9,en;q=0.8")), "ko");
        assert_eq!(locales.negotiate(None, Some("fr;q=0.9, en;q=0.2, ko;q=0.5")), "ko");
        assert_eq!(locales.negotiate(None, Some("ko;q=0, *")), "en");
        assert_eq!(locales.negotiate(None, Some(";;;q=,,")), "en");
        assert_eq!(locales.negotiate(None, None), "en");
    }

    #[test]
    fn a_missing_text_is_english_and_a_later_file_adds() {
        let locales = locales();
        assert_eq!(locales.text("ko", "a"), "가");
        assert_eq!(locales.text("ko", "b"), "나");
        assert_eq!(locales.text("xx", "a"), "A");
        assert_eq!(locales.text("en", "gap"), "gap");
    }
}
