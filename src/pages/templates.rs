//! Loading and rendering the library's templates.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use rocket_dyn_templates::tera::{self, Tera, Value};

use super::context::Standing;
use super::reuse::Rendered;
use super::{Assets, Locales};
use crate::guards::Auth;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/auth");

/// Why the pages could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A template does not parse, or extends one that is missing.
    #[error("a template in {place} cannot be used: {reason}")]
    Template {
        /// Where it is.
        place: String,
        /// What Tera says.
        reason: String,
    },
    /// A language file is no flat JSON object of texts.
    #[error("the language file {0}.json cannot be used: {1}")]
    Language(String, serde_json::Error),
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, std::io::Error),
}

/// The library's pages.
#[derive(Debug)]
pub struct Pages {
    tera: Tera,
    locales: Locales,
    assets: Assets,
    rendered: Rendered,
    standing: OnceLock<BTreeMap<String, Arc<Standing>>>,
}

impl Pages {
    /// Loads the embedded pages and `hosts` (names like `site/home`, and texts), and over them the files of the same
    /// names below `template_dir`, if there are any.
    ///
    /// # Errors
    /// [`LoadError`] that names the file.
    pub fn load(template_dir: &Path, hosts: &[(String, String)]) -> Result<Self, LoadError> {
        let (mut templates, mut languages) = embedded();
        templates.extend(hosts.iter().map(|(name, text)| (format!("{name}.html"), text.clone())));
        let folders = hosts.iter().filter_map(|(name, _)| name.split_once('/')).map(|(folder, _)| folder);
        for folder in folders.chain(["auth"]).collect::<BTreeSet<_>>() {
            read_files(&template_dir.join(folder), ".html", |stem, text| {
                templates.push((format!("{folder}/{stem}.html"), text));
            })?;
        }
        let own = template_dir.join("auth");
        for ending in [".html", ".txt"] {
            read_files(&own.join("mail"), ending, |stem, text| {
                templates.push((format!("auth/mail/{stem}{ending}"), text));
            })?;
        }
        read_files(&own.join("locales"), ".json", |stem, text| languages.push((stem.to_owned(), text)))?;
        let mut tera = Tera::default();
        tera.register_filter("fill", fill_filter);
        let rendered = Rendered::of(templates.iter().map(|(_, text)| text.as_str()));
        tera.add_raw_templates(templates).map_err(|error| LoadError::Template {
            place: template_dir.display().to_string(),
            reason: explain(&error),
        })?;
        let locales = Locales::parse(&languages).map_err(|(code, error)| LoadError::Language(code, error))?;
        Ok(Self { tera, locales, assets: Assets::embedded(), rendered, standing: OnceLock::new() })
    }

    /// The languages.
    #[must_use]
    pub fn locales(&self) -> &Locales {
        &self.locales
    }

    /// The styles and scripts.
    #[must_use]
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// What every page in a language has, made once.
    pub(super) fn standing(&self, lang: &str, auth: &Auth) -> Arc<Standing> {
        let all = self.standing.get_or_init(|| {
            let each = self.locales.list("").into_iter().map(|language| language.code);
            each.map(|code| (code.clone(), Arc::new(Standing::new(code, auth, self)))).collect()
        });
        let known = all.get(lang).cloned();
        known.unwrap_or_else(|| Arc::new(Standing::new(lang.to_owned(), auth, self)))
    }

    /// Pages that were rendered a moment ago.
    pub(super) fn rendered(&self) -> &Rendered {
        &self.rendered
    }

    pub(super) fn tera(&self) -> &Tera {
        &self.tera
    }
}

type Named = Vec<(String, String)>;

fn embedded() -> (Named, Named) {
    let files = EMBEDDED.files().chain(EMBEDDED.dirs().flat_map(Dir::files));
    let (mut templates, mut languages) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let text = file.contents_utf8().unwrap_or_default().to_owned();
        let ending = file.path().extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("html" | "txt")) {
            // In-memory templates are escaped by the ending of their name.
            templates.push((format!("auth/{}", file.path().display()), text));
        } else if let Some(code) = name.strip_suffix(".json") {
            languages.push((code.to_owned(), text));
        }
    }
    (templates, languages)
}

/// Hands every file of a folder with this ending to `take`; a folder that does not exist has none.
fn read_files(folder: &Path, ending: &str, mut take: impl FnMut(&str, String)) -> Result<(), LoadError> {
    let unreadable = |path: &Path| {
        let shown = path.display().to_string();
        |error| LoadError::Read(shown, error)
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(stem) = name.strip_suffix(ending) {
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            take(stem, text);
        }
    }
    Ok(())
}

/// Tera's own message and its causes, in one line.
pub(super) fn explain(error: &tera::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.replace('\n', " ")
}

/// `{{ t.welcome | fill(name=user.name) }}`: puts values into a text's `{name}` places. The result is text, which Tera
/// escapes as always.
///
/// # Errors
/// Never; Tera wants a `Result`.
#[expect(clippy::implicit_hasher, reason = "the signature of a Tera filter")]
pub fn fill_filter(value: &Value, arguments: &HashMap<String, Value>) -> tera::Result<Value> {
    let mut text = value.as_str().unwrap_or_default().to_owned();
    for (name, argument) in arguments {
        let shown = argument.as_str().map_or_else(|| argument.to_string(), str::to_owned);
        text = text.replace(&format!("{{{name}}}"), &shown);
    }
    Ok(Value::String(text))
}
