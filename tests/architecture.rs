//! The shape of the source: imports go one way, files stay small, names say something.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the ground up: each may use those before it.
const LAYERS: &[&str] = &[
    "clock",
    "secret",
    "sealed",
    "metrics",
    "token",
    "model",
    "store",
    "presets",
    "config",
    "audit",
    "mail",
    "session",
    "providers",
    "signin",
    "policy",
    "guards",
    "pages",
    "routes",
    "answers",
    "server",
    "readiness",
    "stopping",
    "fairing",
    "testing",
    "lib",
];

/// Modules that know nothing of Rocket's requests.
const NO_ROCKET: [&str; 12] = [
    "clock",
    "secret",
    "metrics",
    "model",
    "token",
    "store",
    "config",
    "audit",
    "mail",
    "session",
    "providers",
    "signin",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn source() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |path: &Path| {
        let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
        first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    files(&root)
        .into_iter()
        .map(|path| (module(&path), path.clone(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The names after `crate::` in code (documentation may point anywhere).
fn imports(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn imports_go_one_way() {
    let rank = |module: &str| LAYERS.iter().position(|layer| *layer == module);
    let mut checked = 0;
    for (module, path, text) in source() {
        // The program's own files see the library from outside.
        let Some(own) = rank(&module) else {
            assert!(["main", "commands", "site"].contains(&module.as_str()), "{module} has no layer");
            continue;
        };
        for import in imports(&text) {
            let Some(other) = rank(&import) else {
                continue;
            };
            checked += 1;
            assert!(other <= own, "{}: `{module}` imports `{import}`, which stands above it", path.display());
        }
    }
    assert!(checked > 100, "only {checked} imports were found");
}

#[test]
fn the_inner_layers_know_nothing_of_requests() {
    for (module, path, text) in source() {
        if NO_ROCKET.contains(&module.as_str()) {
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            for banned in ["rocket::Request", "rocket::http", "rocket::request", "rocket::response"] {
                assert!(!code.iter().any(|line| line.contains(banned)), "{}: {banned}", path.display());
            }
        }
    }
}

#[test]
fn the_site_uses_the_public_api_only() {
    for (module, path, text) in source() {
        if module == "site" {
            let own = imports(&text);
            assert!(own.is_empty(), "{}: {own:?}", path.display());
        }
    }
}

#[test]
fn files_are_small_and_named() {
    for (_, path, text) in source() {
        let lines = text.lines().count();
        assert!(lines <= 420, "{}: {lines} lines", path.display());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["utils", "util", "helpers", "common", "misc", "prelude"].contains(&stem),
            "{}",
            path.display()
        );
        assert!(text.starts_with("//!"), "{}: no chapter text", path.display());
    }
}

#[test]
fn only_one_file_builds_cookies() {
    for (_, path, text) in source() {
        let builds = text.contains("Cookie::build");
        assert_eq!(builds, path.ends_with("session/cookies.rs"), "{}", path.display());
    }
}

/// The files of the suite that reach the store themselves, and why. All others see what people, scripts and hosts see, through
/// `countersign::testing`: what a test wants to do to an application or to know of it belongs there, for hosts want it too.
const REACHES_THE_STORE: &[(&str, &str)] = &[
    ("app.rs", "opens the store that faults are injected into"),
    ("faults.rs", "injects them"),
    (
        "confirmed.rs",
        "makes a row that nothing of today makes: a factor of somebody who confirmed no address",
    ),
    ("credentials.rs", "the row is the subject: with which cost a password was hashed"),
    ("rotation.rs", "the row is the subject: by which secret it was sealed"),
    ("dump.rs", "compares whole databases, to show that nothing was written"),
    ("database.rs", "opens the database of either kind beneath an application"),
];

#[test]
fn the_suite_uses_the_testing_kit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let mut reaching = Vec::new();
    for path in files(&root) {
        let text = fs::read_to_string(&path).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        // The methods of the store are those of its traits, which have to be imported.
        if code.iter().any(|line| line.contains("countersign::store") || line.contains("sqlx::")) {
            reaching.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    reaching.sort();
    let mut listed: Vec<&str> = REACHES_THE_STORE.iter().map(|(file, _)| *file).collect();
    listed.sort_unstable();
    assert_eq!(reaching, listed, "use `countersign::testing`, or list the file and the reason");
}
