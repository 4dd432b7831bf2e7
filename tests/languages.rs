//! What is said in two languages: the same texts in both, none that nobody sees, and the same README.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts of all files with one of these endings below a folder.
fn texts_of(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if endings.contains(&ending) {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

/// Keys and texts in the order of the file; a key that comes twice is there twice.
fn locale(code: &str) -> Vec<(String, String)> {
    let text = read(&format!("templates/auth/locales/{code}.json"));
    let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let pair = |line: &str| {
        let line = line.trim().trim_end_matches(',');
        let one: serde_json::Value = serde_json::from_str(&format!("{{{line}}}")).unwrap();
        let (key, text) = one.as_object().unwrap().iter().next().unwrap();
        (key.clone(), text.as_str().unwrap().to_owned())
    };
    let pairs: Vec<_> = text.lines().filter(|line| line.starts_with("  \"")).map(pair).collect();
    assert_eq!(pairs.len(), whole.len(), "{code}: one text a line, and no key twice");
    pairs
}

/// The names of what is filled in: `{site}`.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn every_language_has_the_same_texts() {
    let (en, ko) = (locale("en"), locale("ko"));
    let keys = |pairs: &[(String, String)]| pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&en), keys(&ko), "the same keys, in the same order");
    for ((key, english), (_, korean)) in en.iter().zip(&ko) {
        assert!(!english.trim().is_empty() && !korean.trim().is_empty(), "{key} is empty");
        assert_eq!(placeholders(english), placeholders(korean), "{key}: {english} / {korean}");
    }
}

/// Keys that are put together where they are used: how they begin and end, and by which text of the source or of a template
/// they are. The part between is a word of the source, or of what the real packages answered.
const FAMILIES: &[(&str, &str, &str)] = &[
    ("notice_", "", "format!(\"notice_{"),
    ("error_title_", "", "format!(\"error_title_{"),
    ("error_", "", "format!(\"error_{"),
    ("mail_", "_subject", "format!(\"mail_{}_{part}\""),
    ("mail_", "_text", "format!(\"mail_{}_{part}\""),
    ("mail_", "_button", "format!(\"mail_{}_{part}\""),
    ("link_", "_title", "\"link_\" ~ purpose ~ \"_title\""),
    ("link_", "_text", "\"link_\" ~ purpose ~ \"_text\""),
    ("link_", "_button", "\"link_\" ~ purpose ~ \"_button\""),
];

/// What of a text a key can be: letters, digits and underscores, whole.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The keys that templates name: `t.key`.
fn named(templates: &[String]) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for template in templates {
        for (at, _) in template.match_indices("t.") {
            let before = template[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != '.') {
                found.extend(
                    words(&template[at + 2..]).next().filter(|word| template[at + 2..].starts_with(word)),
                );
            }
        }
    }
    found
}

/// The texts in quotation marks that could be keys.
fn quoted(texts: &[String]) -> BTreeSet<&str> {
    let parts = texts.iter().flat_map(|text| text.split('"'));
    parts.filter(|part| words(part).next() == Some(part)).collect()
}

/// The keys that the source asks a language for: `locales().text(language, "key")`, and by a closure in the same file,
/// `text("key")`.
fn asked(source: &[String]) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for text in source.iter().filter(|text| text.contains("locales().text(")) {
        for (at, _) in text.match_indices("text(") {
            let (before, arguments) = (&text[..at], &text[at + 5..]);
            let key = if before.ends_with("locales().") {
                arguments.split_once(", ").map_or("", |(_, last)| last)
            } else if before.ends_with([' ', '(', '!', '&']) {
                arguments
            } else {
                continue;
            };
            let key = key.strip_prefix('"').and_then(|key| key.split_once("\")")).map(|(key, _)| key);
            found.extend(key.filter(|key| words(key).next() == Some(key)));
        }
    }
    found
}

#[test]
fn every_text_is_used_and_every_text_that_is_used_is_there() {
    let templates =
        [texts_of("templates/auth", &["html", "txt"]), texts_of("templates/site", &["html"])].concat();
    let source = texts_of("src", &["rs"]);
    let everything = [templates.clone(), source.clone()].concat();
    for (beginning, ending, by) in FAMILIES {
        assert!(everything.iter().any(|text| text.contains(by)), "nobody makes {beginning}…{ending}");
    }
    let (named, quoted, asked) = (named(&templates), quoted(&everything), asked(&source));
    assert!(
        named.len() > 150 && asked.len() > 5,
        "{} in templates, {} in the source",
        named.len(),
        asked.len()
    );
    // Codes of errors also come from a NextAuth beside us.
    let recorded = read("tests/vectors/http-transcripts.json");
    let of_source: BTreeSet<&str> = source.iter().chain([&recorded]).flat_map(|text| words(text)).collect();
    let in_a_family = |key: &str| {
        FAMILIES.iter().any(|(beginning, ending, _)| {
            let middle = key.strip_prefix(beginning).and_then(|rest| rest.strip_suffix(ending));
            middle.is_some_and(|middle| of_source.contains(middle))
        })
    };
    let keys: BTreeSet<String> = locale("en").into_iter().map(|(key, _)| key).collect();
    let used =
        |key: &&String| named.contains(key.as_str()) || quoted.contains(key.as_str()) || in_a_family(key);
    let unused: Vec<_> = keys.iter().filter(|key| !used(key)).collect();
    assert!(unused.is_empty(), "nobody sees these texts: {unused:?}");
    let missing: Vec<_> = named.union(&asked).filter(|key| !keys.contains(**key)).collect();
    assert!(missing.is_empty(), "these texts are asked for and are not there: {missing:?}");
}

/// A part of a document that both languages have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Heading(usize),
    /// The language of a block and its lines.
    Code(String, Vec<String>),
    /// Rows of a table.
    Table(usize),
    /// Items of a list.
    List(usize),
}

/// A document as what can be compared: its parts, and the words in `code` and the addresses below each heading.
struct Document {
    parts: Vec<Part>,
    sections: Vec<(String, BTreeSet<String>)>,
}

fn document(name: &str) -> Document {
    let text = read(name);
    let (mut parts, mut sections) = (Vec::new(), vec![(String::new(), String::new())]);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned);
            parts.push(Part::Code(language.to_owned(), block.collect()));
            continue;
        }
        if line.starts_with('#') {
            parts.push(Part::Heading(line.chars().take_while(|c| *c == '#').count()));
            sections.push((line.to_owned(), String::new()));
        } else if line.starts_with('|') {
            match parts.last_mut() {
                Some(Part::Table(rows)) => *rows += 1,
                _ => parts.push(Part::Table(1)),
            }
        } else if line.starts_with("- ") {
            match parts.last_mut() {
                Some(Part::List(items)) => *items += 1,
                _ => parts.push(Part::List(1)),
            }
        }
        let (_, section) = sections.last_mut().unwrap();
        section.push_str(line);
        section.push('\n');
    }
    let marks = |text: &str| {
        let code = text.split('`').skip(1).step_by(2).map(str::to_owned);
        let addresses = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        code.chain(addresses.map(|(address, _)| address.to_owned())).collect()
    };
    let sections = sections.into_iter().map(|(heading, text)| (heading, marks(&text)));
    Document { parts, sections: sections.collect() }
}

/// A line of code without its comment.
fn code_of(line: &str) -> &str {
    let ends = [" // ", " # "].into_iter().filter_map(|mark| line.find(mark));
    line[..ends.min().unwrap_or(line.len())].trim_end()
}

/// A line of code without what its texts say.
fn without_texts(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The same program; texts that it shows may be in the document's language.
fn assert_same_code(english: &[String], korean: &[String]) {
    assert_eq!(english.len(), korean.len(), "{english:#?} {korean:#?}");
    for (english, korean) in english.iter().zip(korean) {
        let (english, korean) = (code_of(english), code_of(korean));
        let same = if korean.is_ascii() || korean == english {
            korean == english
        } else {
            without_texts(korean) == without_texts(english)
        };
        assert!(same, "{english}\n{korean}");
    }
}

#[test]
fn both_readmes_say_the_same() {
    let (english, korean) = (document("README.md"), document("README.ko.md"));
    for (english, korean) in english.parts.iter().zip(&korean.parts) {
        match (english, korean) {
            (Part::Code(language, english), Part::Code(other, korean)) => {
                assert_eq!(language, other, "{english:#?}");
                assert_same_code(english, korean);
            }
            _ => assert_eq!(english, korean),
        }
    }
    assert_eq!(english.parts.len(), korean.parts.len());
    let codes = english.parts.iter().filter(|part| matches!(part, Part::Code(..))).count();
    assert!(codes > 8 && english.sections.len() > 12, "{codes} blocks, {} sections", english.sections.len());
    for ((heading, english), (other, korean)) in english.sections.iter().zip(&korean.sections) {
        let lacking: Vec<_> = english.symmetric_difference(korean).collect();
        assert!(lacking.is_empty(), "{heading} / {other}: only one of them has {lacking:?}");
    }
}

#[test]
fn the_comparison_finds_what_differs() {
    assert_eq!(code_of("cargo run      # a site"), "cargo run");
    assert_eq!(code_of("issuer = \"https://id.example.com\""), "issuer = \"https://id.example.com\"");
    assert_eq!(without_texts("say(\"a\", \"b\")"), "say(\"\", \"\")");
    assert_eq!(placeholders("{site} and {about}"), BTreeSet::from(["site", "about"]));
    assert_eq!(named(&["{{ t.a_b | x }} at.c not.d {% if t.e %}".to_owned()]), BTreeSet::from(["a_b", "e"]));
    let file =
        "locales().text(lang, \"a\") form.text(\"b\") text(\"c\") text(key) locales().text(lang, &made)";
    let source = [file.to_owned(), "text(\"d\")".to_owned()];
    assert_eq!(asked(&source), BTreeSet::from(["a", "c"]));
    let differing = std::panic::catch_unwind(|| assert_same_code(&["a(1)".to_owned()], &["a(2)".to_owned()]));
    assert!(differing.is_err());
}
