//! Pages that were rendered a moment ago.
//!
//! A template that is given the same things says the same: somebody who looks at a page again gets the bytes that are
//! there. Everything a page is made from is compared, text by text, so a page that would differ in anything is rendered.
//! What is kept is bounded by its size and goes with the process.
//!
//! Tera has three functions whose answer changes by itself: the time, the environment, and dice. Where any template of the
//! application calls one, nothing is kept.

use std::hash::{Hash, RandomState};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use serde_json::{Map, Value};

use super::context::Changing;
use crate::token::footprint;

/// What all pages together may weigh, bytes.
const CAPACITY: u64 = 8 * 1024 * 1024;
/// Pages the table is laid out for.
const EXPECTED: usize = 512;
/// What an entry weighs besides what it is made from and what was made, bytes, rounded up.
const ENTRY: usize = 1024;

/// The functions of Tera that answer the same question differently.
const CHANGING: [&str; 3] = ["now", "get_random", "get_env"];

/// What a page is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Made<'a> {
    pub(super) name: &'a str,
    pub(super) lang: &'a str,
    pub(super) changing: &'a Changing,
    pub(super) own: &'a Map<String, Value>,
}

impl Made<'_> {
    /// Bytes that it takes in memory. Whoever asks decides the address, and the application what it gives a page.
    fn footprint(&self) -> usize {
        let Changing { csrf_token, session, session_json, path } = self.changing;
        let texts = [csrf_token.as_str(), path, self.name, self.lang, session_json].map(str::len);
        let session = session.as_ref().map_or(0, |body| body.footprint());
        texts.iter().sum::<usize>() + session + footprint::of_members(self.own)
    }
}

/// A page and what its entry weighs, bytes.
#[derive(Clone)]
struct Kept {
    page: Arc<[u8]>,
    weight: u64,
}

/// Rendered pages by what they were made from.
pub(super) struct Rendered(Option<Cache<Key, Kept, Weight, RandomState>>);

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rendered").field(&self.0.as_ref().map(Cache::len)).finish()
    }
}

impl Rendered {
    /// For these templates.
    pub(super) fn of<'a>(mut templates: impl Iterator<Item = &'a str>) -> Self {
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        let changes = templates.any(|text| CHANGING.iter().any(|name| calls(text, name)));
        Self((!changes).then(|| Cache::with(EXPECTED, CAPACITY, Weight, hasher, lifecycle)))
    }

    /// The page made from exactly this.
    pub(super) fn find(&self, made: &Made<'_>) -> Option<Arc<[u8]>> {
        Some(self.0.as_ref()?.get(made)?.page)
    }

    /// Keeps a page, and makes room for it if needed.
    pub(super) fn keep(&self, made: &Made<'_>, page: &Arc<[u8]>) {
        if let Some(kept) = &self.0 {
            let weight = (ENTRY + page.len() + made.footprint()) as u64;
            kept.insert(Key::of(made), Kept { page: Arc::clone(page), weight });
        }
    }
}

/// Whether a text may call a function: its name with a parenthesis after it, wherever it stands.
fn calls(text: &str, name: &str) -> bool {
    let mut pieces = text.split(name).skip(1);
    pieces.any(|after| after.trim_start().starts_with('('))
}

/// The same as [`Made`], owned.
struct Key {
    name: String,
    lang: String,
    changing: Changing,
    own: Map<String, Value>,
}

impl Key {
    fn of(made: &Made<'_>) -> Self {
        Self {
            name: made.name.to_owned(),
            lang: made.lang.to_owned(),
            changing: made.changing.clone(),
            own: made.own.clone(),
        }
    }

    fn made(&self) -> Made<'_> {
        Made { name: &self.name, lang: &self.lang, changing: &self.changing, own: &self.own }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.made() == other.made()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.made().hash(state);
    }
}

impl Equivalent<Key> for Made<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.made()
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Kept> for Weight {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        kept.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changing(path: &str) -> Changing {
        Changing { path: path.to_owned(), ..Changing::default() }
    }

    #[test]
    fn a_page_is_found_by_everything_it_is_made_from() {
        let rendered = Rendered::of(["{{ path }}"].into_iter());
        let (here, there) = (changing("/a"), changing("/b"));
        let (none, mut one) = (Map::new(), Map::new());
        one.insert("title".to_owned(), "x".into());
        let made = Made { name: "site/a", lang: "en", changing: &here, own: &none };
        rendered.keep(&made, &Arc::from(b"page".as_slice()));
        assert_eq!(rendered.find(&made).as_deref(), Some(b"page".as_slice()));
        for other in [
            Made { name: "site/b", ..made },
            Made { lang: "ko", ..made },
            Made { changing: &there, ..made },
            Made { own: &one, ..made },
        ] {
            assert!(rendered.find(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn nothing_is_kept_where_a_template_tells_the_time() {
        for text in ["{{ now() }}", "{{ get_random (start=1, end=6) }}", "{% set x = get_env(name='A') %}"] {
            assert!(Rendered::of(["<p>", text].into_iter()).0.is_none(), "{text}");
        }
        assert!(Rendered::of(["<p>now, {{ t.now }}</p>"].into_iter()).0.is_some());
    }

    #[test]
    fn pages_stay_within_their_bound() {
        let rendered = Rendered::of([].into_iter());
        let (page, none) = (Arc::from(vec![b'x'; 10_000]), Map::new());
        for number in 0..5000 {
            let changing = changing(&format!("/{number}"));
            rendered.keep(&Made { name: "site/a", lang: "en", changing: &changing, own: &none }, &page);
        }
        let kept = rendered.0.as_ref().map(Cache::weight).unwrap_or_default();
        assert!(kept > CAPACITY / 2 && kept <= CAPACITY, "{kept}");
    }

    #[test]
    fn what_a_page_is_made_from_is_weighed_with_it() {
        let (page, empty, mut own) = (Arc::from(b"page".as_slice()), Map::new(), Map::new());
        own.insert("hidden".to_owned(), vec!["x".repeat(1000); 20].into());
        let (here, long) = (changing("/"), changing(&format!("/?{}", "x".repeat(20_000))));
        let made = Made { name: "site/a", lang: "en", changing: &here, own: &empty };
        for made in [Made { own: &own, ..made }, Made { changing: &long, ..made }] {
            let rendered = Rendered::of([].into_iter());
            rendered.keep(&made, &page);
            let kept = rendered.0.as_ref().map(Cache::weight).unwrap_or_default();
            assert!(kept > 20_000, "{kept}");
        }
    }
}
