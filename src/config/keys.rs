//! Every key, once: what is known, what is documented and what the environment can override all come from one table.

pub use super::key_table::KEYS;

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path below `auth`.
    pub name: &'static str,
    /// Its default, as the documentation shows it.
    pub default: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

pub(super) const fn key(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, default, takes, meaning }
}

impl Key {
    /// The environment variable that overrides it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("COUNTERSIGN_{}", self.name.replace('.', "__").to_uppercase())
    }
}

/// The key's name for a provider, or as it is when it is about none.
fn named(key: &Key, provider: Option<&str>) -> String {
    key.name.replace("<name>", provider.unwrap_or("<name>"))
}

/// The provider a key is about, unless it is one that has keys of its own.
fn provider_of(name: &str) -> Option<&str> {
    let provider = name.strip_prefix("providers.")?.split('.').next()?;
    (!super::providers::OWN.contains(&provider)).then_some(provider)
}

/// Whether there is such a key.
#[must_use]
pub(super) fn is_known(name: &str) -> bool {
    let provider = provider_of(name);
    KEYS.iter().any(|key| named(key, provider) == name)
}

/// The known key whose name is nearest to `unknown`, when one is near at all.
#[must_use]
pub(super) fn nearest(unknown: &str) -> Option<String> {
    let provider = provider_of(unknown);
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    KEYS.iter()
        .map(|key| named(key, provider))
        .filter(|name| !name.contains('<'))
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&name, unknown);
            (distance.min(2 + strsim::damerau_levenshtein(&last(&name), &last(unknown))), name)
        })
        .min()
        .filter(|(distance, name)| *distance <= 2 + name.len() / 3)
        .map(|(_, name)| name)
}

/// The documentation's table.
#[must_use]
pub fn markdown() -> String {
    let mut table =
        "| key | environment | takes | default | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for key in KEYS {
        let cells = [
            format!("`{}`", key.name),
            format!("`{}`", key.variable()),
            key.takes.to_owned(),
            format!("`{}`", key.default),
            key.meaning.to_owned(),
        ];
        table.push_str("| ");
        table.push_str(&cells.join(" | "));
        table.push_str(" |\n");
    }
    table
}
