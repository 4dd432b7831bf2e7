//! OWASP ASVS 5.0: which test shows which requirement. The table in the documentation is generated from the annotations.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../support/document.rs"]
mod document;

/// What an annotation begins with, put together so that this file has none.
const MARK: [&str; 2] = ["ASVS", ": "];

struct Requirement {
    id: String,
    level: String,
    what: String,
    reason: String,
}

fn requirements() -> Vec<Requirement> {
    let lines = include_str!("requirements.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [id, level, what, reason] = cells.as_slice() else { panic!("{line}") };
            let own = |text: &&str| (*text).to_owned();
            Requirement { id: own(id), level: own(level), what: own(what), reason: own(reason) }
        })
        .collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "node_modules" {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "mjs") {
            found.push(path);
        }
    }
}

/// The test that follows an annotation.
fn name_of(line: &str) -> Option<&str> {
    if let Some((_, rest)) = line.split_once("fn ") {
        return rest.split(['(', '<']).next();
    }
    let rest = line.trim_start().strip_prefix("test(")?;
    let quote = rest.chars().next()?;
    rest.get(1..)?.split(quote).next()
}

/// Requirement → the tests that show it.
fn annotations() -> BTreeMap<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        files(&root.join(folder), &mut sources);
    }
    sources.sort();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        let mut waiting: Vec<String> = Vec::new();
        for line in text.lines() {
            let comment =
                line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches('/').trim_start());
            if let Some(ids) = comment.and_then(|rest| rest.strip_prefix(&MARK.concat())) {
                waiting.extend(ids.split(',').map(|id| id.trim().to_owned()));
            } else if !waiting.is_empty()
                && let Some(name) = name_of(line)
            {
                for id in waiting.drain(..) {
                    found.entry(id).or_default().push(format!("{shown} `{name}`"));
                }
            }
        }
        assert!(waiting.is_empty(), "{shown}: an annotation stands above no test");
    }
    found
}

#[test]
fn every_requirement_has_a_test_or_a_reason() {
    let (requirements, found) = (requirements(), annotations());
    for id in found.keys() {
        assert!(requirements.iter().any(|known| known.id == *id), "{id} is annotated and not in the list");
    }
    // Those of the five chapters at levels 1 and 2: one that is left out is not noticed otherwise.
    let level = |level: &str| requirements.iter().filter(|known| known.level == level).count();
    assert_eq!((level("1"), level("2")), (31, 64));
    for Requirement { id, what, reason, .. } in &requirements {
        let shown = found.contains_key(id);
        assert!(shown || !reason.is_empty(), "{id} ({what}) has neither a test nor a reason");
    }
    assert!(found.len() > 40, "only {} requirements are annotated", found.len());
}

#[test]
fn the_table_is_generated() {
    let found = annotations();
    let mut table = "# OWASP ASVS 5.0\n\nChapters 3 (web front end), 6 (authentication), 7 (sessions), 9 (self-contained \
         tokens) and 16 (logging and errors), levels 1 and 2. The texts are shortened and in our words. Generated from the \
         annotations on the tests; a requirement without a test has a reason here, or the tests fail.\n\n\
         | requirement | level | what it asks | shown by |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for Requirement { id, level, what, reason } in requirements() {
        let mut cells = found.get(&id).map(|tests| tests.join(", ")).unwrap_or_default();
        if !reason.is_empty() {
            let space = if cells.is_empty() { "" } else { ". " };
            write!(cells, "{space}{reason}").unwrap();
        }
        writeln!(table, "| {id} | {level} | {what} | {cells} |").unwrap();
    }
    document::compare("asvs.md", &table);
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

// ASVS: 6.1.1, 6.1.2, 6.1.3, 7.1.1, 7.1.2, 7.1.3
#[test]
fn what_guards_an_account_is_written_down() {
    let written = document("security.md");
    let keys = document("configuration.md");
    for key in [
        "limits.window",
        "limits.per_account",
        "limits.per_address",
        "limits.per_account_everywhere",
        "limits.sign_ups_per_address",
        "session.max_age",
        "session.update_age",
        "session.absolute_age",
        "session.max_per_user",
        "site_name",
    ] {
        assert!(written.contains(&format!("`{key}`")), "docs/security.md says nothing of {key}");
        assert!(keys.contains(&format!("`{key}`")), "{key} is no key");
    }
    for way in ["password", "passkey", "mail", "OpenID Connect", "access token"] {
        assert!(written.contains(way), "docs/security.md says nothing of {way}");
    }
}

// ASVS: 16.1.1
#[test]
fn every_event_that_is_recorded_is_written_down() {
    let source = include_str!("../../src/audit/event.rs");
    let codes: Vec<&str> = source
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|code| code.contains('.'))
        .collect();
    assert!(codes.len() > 15, "{codes:?}");
    let written = document("security.md");
    for code in codes {
        assert!(written.contains(&format!("`{code}`")), "docs/security.md says nothing of {code}");
    }
}
