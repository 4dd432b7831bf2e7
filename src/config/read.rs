//! Reading values and collecting what is wrong with them.

use figment::value::{Dict, Num, Value};
use figment::{Figment, Source};

use super::errors::{ConfigError, ConfigErrors};
use super::keys::{is_known, nearest};

/// Reads keys below `auth`; what is wrong is noted, and reading goes on with the default.
pub(super) struct Reader<'a> {
    figment: &'a Figment,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(figment: &'a Figment) -> Self {
        Self { figment, errors: Vec::new() }
    }

    /// All that was wrong, or the value.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ConfigErrors(self.errors)),
        }
    }

    /// Notes that `key` is wrong.
    pub(super) fn wrong(&mut self, key: &str, found: impl Into<String>, expected: impl Into<String>) {
        let error = ConfigError {
            place: self.place(key),
            key: format!("auth.{key}"),
            found: found.into(),
            expected: expected.into(),
        };
        self.errors.push(error);
    }

    /// A key's value, if it is set.
    pub(super) fn value(&self, key: &str) -> Option<Value> {
        self.figment.find_value(&format!("auth.{key}")).ok()
    }

    /// The names of the tables below a key.
    pub(super) fn tables(&self, key: &str) -> Vec<String> {
        let Some(Value::Dict(_, keys)) = self.value(key) else {
            return Vec::new();
        };
        keys.into_iter().filter(|(_, value)| matches!(value, Value::Dict(..))).map(|(name, _)| name).collect()
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: &str, bounds: std::ops::RangeInclusive<i64>, default: i64) -> i64 {
        let Some(value) = self.value(key) else {
            return default;
        };
        let number = match &value {
            Value::Num(_, number) => whole(*number).and_then(|n| i64::try_from(n).ok()),
            _ => None,
        };
        match number {
            Some(number) if bounds.contains(&number) => number,
            _ => {
                let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
                self.wrong(key, shown(&value), expected);
                default
            }
        }
    }

    /// As [`Reader::number`], for numbers that fit into 32 bits.
    pub(super) fn small(&mut self, key: &str, bounds: std::ops::RangeInclusive<i64>, default: u32) -> u32 {
        u32::try_from(self.number(key, bounds, default.into())).unwrap_or(default)
    }

    /// True or false.
    pub(super) fn switch(&mut self, key: &str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(_, on)) => on,
            Some(other) => {
                self.wrong(key, shown(&other), "true or false");
                default
            }
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(_, text) if !text.trim().is_empty() => Some(text),
            other => {
                self.wrong(key, shown(&other), "a text in quotes");
                None
            }
        }
    }

    /// One of a few names.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let found = value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            self.wrong(key, shown(&value), names(choices));
        }
        found.map(|(_, choice)| *choice)
    }

    /// A list of texts; each is handed to `parse`, which says what it expected when it cannot.
    pub(super) fn list<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let items = match self.value(key) {
            None => return Vec::new(),
            Some(Value::Array(_, items)) => items,
            Some(other) => {
                self.wrong(key, shown(&other), format!("a list: {expected}"));
                return Vec::new();
            }
        };
        let mut parsed = Vec::new();
        for item in &items {
            match item.as_str().and_then(&parse) {
                Some(value) => parsed.push(value),
                None => self.wrong(key, shown(item), expected),
            }
        }
        parsed
    }

    /// Refuses what is not known, naming what is nearest.
    pub(super) fn refuse_unknown(&mut self) {
        let mut found = Vec::new();
        match self.figment.find_value("auth") {
            Ok(Value::Dict(_, keys)) => leaves("", &keys, &mut found),
            Ok(other) => {
                self.errors.push(ConfigError {
                    place: "the configuration".to_owned(),
                    key: "auth".to_owned(),
                    found: shown(&other),
                    expected: "a table, [default.auth]".to_owned(),
                });
            }
            Err(_) => {}
        }
        for name in found {
            if is_known(&name) {
                continue;
            }
            let expected = match nearest(&name) {
                Some(nearest) => format!("a known key; the nearest is `auth.{nearest}`"),
                None => "a known key; docs/configuration.md lists them".to_owned(),
            };
            self.wrong(&name, "not known", expected);
        }
    }

    /// The file or variable a key comes from.
    fn place(&self, key: &str) -> String {
        let Some(metadata) = self.figment.find_metadata(&format!("auth.{key}")) else {
            return "the configuration".to_owned();
        };
        match &metadata.source {
            Some(Source::File(path)) => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
            _ if metadata.name.contains("COUNTERSIGN_") => {
                let variable = key.replace('.', "__").to_uppercase();
                format!("environment variable COUNTERSIGN_{variable}")
            }
            _ => metadata.name.to_string(),
        }
    }
}

fn names<T>(choices: &[(&str, T)]) -> String {
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    names.join(" or ")
}

/// The dotted names of everything that is no table.
fn leaves(prefix: &str, keys: &Dict, found: &mut Vec<String>) {
    for (name, value) in keys {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => leaves(&name, inner, found),
            _ => found.push(name),
        }
    }
}

/// A whole number of whatever size.
pub(super) fn whole(number: Num) -> Option<i128> {
    number.to_i128().or_else(|| number.to_u128().and_then(|n| i128::try_from(n).ok()))
}

/// A value as a person wrote it; long ones are cut. Only for keys that hold no secret.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, on) => on.to_string(),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_else(|| "a number".to_owned()),
        Value::Char(_, letter) => format!("{letter:?}"),
        Value::Array(..) => "a list".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Empty(..) => "empty".to_owned(),
    };
    if text.chars().count() > 60 { text.chars().take(59).chain(['…']).collect() } else { text }
}
